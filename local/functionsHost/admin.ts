import type { IncomingMessage, ServerResponse } from "node:http";
import { refuse, sendText } from "./httpAnswers.js";
import { readBody } from "./httpBody.js";
import type { RegisteredFunction } from "./rpc.js";

const MAX_CALL_BYTES = 1024 * 1024;

/** A function that `POST /admin/functions/{name}` calls. */
export interface CalledByHand {
  readonly name: string;
  callByHand(): void;
}

/** The host's own calls, below `/admin`. */
export interface AdminOptions {
  /**
   * The key that callers must give, as the real host asks for its master key. Without a key every caller on
   * this machine may.
   */
  readonly key: string | undefined;
  readonly functions: readonly RegisteredFunction[];
  readonly disabled: ReadonlySet<RegisteredFunction>;
  readonly byHand: readonly CalledByHand[];
}

/** True for a path of the host's own. Pages of other origins never get an answer from it. */
export const isAdminPath = (path: string): boolean => /^\/+admin(\/|$)/i.test(path);

/** True when the request has the key, in `x-functions-key` or in `?code=`. */
export function hasKey(key: string | undefined, { url = "", headers }: IncomingMessage): boolean {
  if (key === undefined) return false;
  const code = new URLSearchParams(url.split("?").slice(1).join("?")).get("code");
  return (headers["x-functions-key"] || code) === key;
}

/** Answers a request for one of the host's own paths. An unknown one is 404. */
export async function answerAdmin(
  options: AdminOptions,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [, area, name, ...more] = path.split("/").filter((part) => part !== "");
  const call = `${request.method} ${[area, ...more].join("/").toLowerCase()}`;
  // Load balancers ask for this, so it needs no key.
  if (/^(GET|POST) host$/.test(call) && sameName("ping", name)) return refuse(response, 200);
  const known = call === "GET host" ? sameName("status", name) : /^(GET|POST) functions$/.test(call);
  if (!known) return refuse(response, 404, true);
  const refusal = refusalFor(options.key, request);
  if (refusal) return refuse(response, refusal, true);
  if (call === "GET host") return sendJson(response, { state: "Running" });
  if (call === "GET functions") return show(options, name, response);
  await callByHand(options, name, request, response);
}

function refusalFor(key: string | undefined, request: IncomingMessage): number | undefined {
  if (key !== undefined) return hasKey(key, request) ? undefined : 401;
  return isLoopback(request.socket.remoteAddress) ? undefined : 403;
}

function show(
  { functions, disabled }: AdminOptions,
  name: string | undefined,
  response: ServerResponse,
): void {
  const all = functions.map((fn) => ({
    name: fn.metadata.name,
    language: "node",
    isDisabled: disabled.has(fn),
    config: { name: fn.metadata.name, bindings: bindingsOf(fn) },
  }));
  const wanted = name === undefined ? all : all.find((fn) => sameName(fn.name, name));
  if (wanted) sendJson(response, wanted);
  else refuse(response, 404);
}

function sendJson(response: ServerResponse, value: unknown): void {
  sendText(response, "application/json; charset=utf-8", JSON.stringify(value));
}

function bindingsOf({ metadata }: RegisteredFunction): object[] {
  return Object.entries(metadata.bindings).map(([name, binding]) => ({ name, ...binding }));
}

/**
 * The answer says that the call has begun, not how it ends. A timer does not use the body's "input", but the
 * body must be a JSON object. It must have this content type, which no form of a foreign web page can send.
 */
async function callByHand(
  { byHand }: AdminOptions,
  name: string | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!/^application\/json\s*(;|$)/i.test(request.headers["content-type"] ?? ""))
    return refuse(response, 415, true);
  const body = await readBody(request, MAX_CALL_BYTES);
  if (body === "aborted") return;
  if (body === "too large") return refuse(response, 413, true);
  if (!isJsonObject(body?.toString() ?? "")) return refuse(response, 400);
  const called = byHand.find((one) => sameName(one.name, name));
  called?.callByHand();
  refuse(response, called ? 202 : 404);
}

const sameName = (one: string, other = ""): boolean => one.toLowerCase() === other.toLowerCase();

function isLoopback(address = ""): boolean {
  return address === "::1" || /^(::ffff:)?127\./.test(address);
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
