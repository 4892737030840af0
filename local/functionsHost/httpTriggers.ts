import { randomUUID } from "node:crypto";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { type AdminOptions, answerAdmin, hasKey, isAdminPath } from "./admin.js";
import { allowOrigin, type Cors } from "./cors.js";
import { refuse, send, sendText } from "./httpAnswers.js";
import { readBody } from "./httpBody.js";
import { headersOf, toHttpData } from "./httpMessages.js";
import { forwardToApp } from "./httpStream.js";
import { describe, type Log } from "./log.js";
import { PARSER_BYTES, parseTarget, type RequestTarget, refusalOf } from "./requestTarget.js";
import { type RouteMatch, RouteTable } from "./routes.js";
import {
  type Binding,
  type InvocationRequest,
  type InvocationResponse,
  type RegisteredFunction,
  unmonitored,
} from "./rpc.js";
import type { Worker } from "./worker.js";

interface Target {
  readonly fn: RegisteredFunction;
  readonly bindingName: string;
  readonly binding: Binding;
}

export interface HttpOptions {
  readonly routePrefix: string;
  /** The largest request body, in bytes. */
  readonly maxBody: number;
  readonly homePage: boolean;
  readonly cors: Cors | undefined;
  readonly admin: AdminOptions;
}

export type Answer = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/**
 * Answers calls of the HTTP-triggered functions of `worker`, and the host's own. Throws on a bad route.
 */
export function answerFor(worker: Worker, options: HttpOptions): Answer {
  const routes = routesOf(worker, options.routePrefix);
  return (request, response) => handle(worker, routes, options, request, response);
}

/** What is held of the calls that come while the host starts: how many, and each for how long. */
interface Held {
  readonly atMost: number;
  readonly milliseconds: number;
}
const HELD: Held = { atMost: 1_000, milliseconds: 30_000 };

/**
 * A server that can listen before it is known how to answer. Calls that come until then are held, and get a 503 where
 * they are too many, or wait for too long. It does not listen yet.
 */
export function createHttpServer(ready: Promise<Answer>, log: Log, held = HELD): http.Server {
  let answer = heldUntil(ready, held);
  void ready.then((loaded) => {
    answer = loaded;
  });
  const server = http.createServer({ maxHeaderSize: PARSER_BYTES }, (request, response) => {
    answer(request, response).catch((error) => {
      log.write("error", `${request.method} ${request.url}: ${describe(error, true)}`);
      refuse(response, 500);
    });
  });
  // Longer than the keep-alive of the usual clients and gateways. So the client closes first, and no request
  // meets a connection that is just being closed.
  server.keepAliveTimeout = 75_000;
  server.headersTimeout = 76_000;
  return server;
}

function heldUntil(ready: Promise<Answer>, { atMost, milliseconds }: Held): Answer {
  let held = 0;
  return async (request, response) => {
    if (held >= atMost) return refuseNotRunning(response);
    held += 1;
    const over = new AbortController();
    const end = (): void => over.abort();
    response.once("close", end);
    const late = pause(milliseconds, undefined, { signal: over.signal, ref: false }).catch(() => undefined);
    const answer = await Promise.race([ready, late]);
    response.off("close", end);
    end();
    held -= 1;
    // The client is gone.
    if (request.socket.destroyed) return;
    if (!answer) return refuseNotRunning(response);
    await answer(request, response);
  };
}

function refuseNotRunning(response: ServerResponse): void {
  response.writeHead(503);
  response.write("Function host is not running.");
  response.end();
}

/** The real host sorts the functions by name and tries their routes in that order. */
function routesOf(worker: Worker, routePrefix: string): RouteTable<Target> {
  const routes = new RouteTable<Target>();
  const named = [...worker.functions.values()].map((fn) => ({ fn, name: fn.metadata.name.toUpperCase() }));
  for (const { fn } of named.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const found = Object.entries(fn.metadata.bindings).find(([, { type }]) => type === "httpTrigger");
    if (!found) continue;
    const [bindingName, binding] = found;
    const template = `${routePrefix}/${binding.route || fn.metadata.name}`.replace(/^\/+/, "");
    routes.add(template, binding.methods ?? ["GET", "POST"], { fn, bindingName, binding });
  }
  return routes;
}

async function handle(
  worker: Worker,
  routes: RouteTable<Target>,
  options: HttpOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const refusal = refusalOf(request);
  if (refusal) return refuse(response, refusal, true);
  const target = parseTarget(request);
  if (!target) return refuse(response, 400, true);
  if (isAdminPath(target.path)) return answerAdmin(options.admin, target.path, request, response);
  if (allowOrigin(options.cors, request, response)) return;
  const found = routes.find(request.method ?? "GET", target.path);
  // A path whose route exists only for other methods is also 404: the real host never answers 405.
  if (!found) return target.path === "/" ? showHomePage(options, response) : refuse(response, 404);
  const forbidden = refusalForCaller(options.admin, found.target, request);
  if (forbidden) return refuse(response, forbidden);
  // Without a Host header the absolute URL for the function cannot be made. Only HTTP/1.0 gets this far
  // without one.
  if (!request.headers.host) return refuse(response, 500, true);
  if (worker.httpUri !== undefined)
    return invokeStreaming(worker, worker.httpUri, found, target, request, response);
  const body = await readAnnouncedBody(request, options.maxBody);
  if (body === "aborted") return;
  if (body === "too large") return refuse(response, 500, true);
  await invoke(worker, found, target, request, response, body);
}

/**
 * The refusal of a call: 401 without the key that the function's `authLevel` asks for, 404 for a disabled
 * function.
 */
function refusalForCaller(
  { key, disabled }: AdminOptions,
  { fn, binding }: Target,
  request: IncomingMessage,
): number | undefined {
  const keyed = hasKey(key, request);
  if (key !== undefined && !keyed && !/^anonymous$/i.test(binding.authLevel ?? "anonymous")) return 401;
  return disabled.has(fn) && !keyed ? 404 : undefined;
}

/**
 * The real host gives its worker a body only where a Content-Length announces one. A body in chunks arrives
 * empty, unless the app has HTTP streams (Node drops the bytes once the answer is out).
 */
function readAnnouncedBody(request: IncomingMessage, most: number): ReturnType<typeof readBody> {
  const announced = Number(request.headers["content-length"] ?? 0) > 0;
  return announced ? readBody(request, most) : Promise.resolve(undefined);
}

async function invoke(
  worker: Worker,
  { target, params }: RouteMatch<Target>,
  requestTarget: RequestTarget,
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer | undefined,
): Promise<void> {
  const data = { http: toHttpData(request, requestTarget, params, body) };
  const invocation = invocationRequest(target, { inputData: [{ name: target.bindingName, data }] });
  let result: InvocationResponse;
  try {
    result = await worker.invoke(target.fn, invocation);
  } catch {
    // The worker has logged the failure. As in Azure, the client learns nothing about it.
    return refuse(response, 500);
  }
  const http = result.returnValue?.http ?? result.outputData?.find(({ data }) => data.http)?.data.http;
  send(response, http);
}

/**
 * With `app.setup({ enableHttpStream: true })` the library runs a server of its own. The host passes the
 * request on to it, and at the same time starts the invocation that the request belongs to.
 */
async function invokeStreaming(
  worker: Worker,
  httpUri: string,
  { target, params }: RouteMatch<Target>,
  { url }: RequestTarget,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const invocation = invocationRequest(target, {
    inputData: [{ name: target.bindingName, data: { http: {} } }],
    triggerMetadata: {
      ...Object.fromEntries(Object.entries(params).map(([name, value]) => [name, { string: value }])),
      Headers: { json: JSON.stringify(headersOf(request)) },
    },
  });
  const forwarding = forwardToApp(httpUri, invocation.invocationId, url, request, response);
  try {
    await worker.invoke(target.fn, invocation);
  } catch {
    forwarding.abandon();
    refuse(response, 500);
  }
}

function invocationRequest(
  { fn }: Target,
  rest: Pick<InvocationRequest, "inputData"> & Partial<InvocationRequest>,
): InvocationRequest {
  return {
    invocationId: randomUUID(),
    functionId: fn.id,
    triggerMetadata: {},
    traceContext: unmonitored,
    ...rest,
  };
}

function showHomePage({ homePage }: HttpOptions, response: ServerResponse): void {
  const page = "<!doctype html><title>Functions</title><p>Your Functions app is up and running.</p>\n";
  if (homePage) sendText(response, "text/html", page);
  else refuse(response, 204);
}
