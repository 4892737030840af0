import http, { type IncomingMessage, type RequestOptions } from "node:http";
import https from "node:https";
import { setTimeout as pause } from "node:timers/promises";
import { fullJitter } from "../platform/async.js";
import type { Authorization } from "./authorization.js";
import { askedToWait, type Quiet } from "./retryAfter.js";

/**
 * The REST call "Send To Group" without the SDK's pipeline: each stored message is at least one such call, and of
 * what a message costs the pipeline with its dozen policies, spans and a token signed anew took more than all else
 * of showing it. The call on the wire is the SDK's, as are its tokens and its repeats; every other call goes
 * through the SDK.
 */

/** The version that `@azure/web-pubsub` asks for. */
const API_VERSION = "2024-12-01";
/** As the SDK is set up for the other calls. */
const PAUSES_MS = [100, 200];
/** Of a refusal. */
const TEXT_BYTES = 4_096;
/** A connection is given up before the service gives it up: it keeps idle ones for minutes. */
const IDLE_MS = 30_000;
const SOCKETS = 64;

export interface GroupSenderOptions {
  readonly endpoint: string;
  readonly hub: string;
  readonly authorization: Authorization;
  /** Keeps calls away for as long as the service has asked for that. */
  readonly quiet: Quiet;
}

/**
 * Sends one text to a group within so many milliseconds, repeats included. Throws what the service answered, with its
 * `statusCode`, `Throttled` where it asks for a pause, or the connection's error.
 */
export type GroupSender = (group: string, text: string, ms: number) => Promise<void>;

export function createGroupSender({ endpoint, hub, authorization, quiet }: GroupSenderOptions): GroupSender {
  const base = `${endpoint.replace(/\/+$/, "")}/api/hubs/${encodeURIComponent(hub)}/groups/`;
  const isPlain = base.startsWith("http:");
  const { request } = isPlain ? http : https;
  const Agent = isPlain ? http.Agent : https.Agent;
  const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS, timeout: IDLE_MS });
  return async (group, text, ms) => {
    const url = `${base}${encodeURIComponent(group)}/:send?api-version=${API_VERSION}`;
    const due = performance.now() + ms;
    const body = Buffer.from(text);
    for (let tried = 0; ; tried += 1) {
      const headers = {
        authorization: await authorization.header(url),
        "content-type": "text/plain",
        "content-length": body.length,
      };
      try {
        await post(request, url, { method: "POST", agent, headers }, body, due - performance.now(), quiet);
        return;
      } catch (error) {
        if ((error as { statusCode?: unknown }).statusCode === 401) authorization.forget(url);
        const wait = fullJitter(PAUSES_MS[tried] ?? 0);
        const isLast = tried >= PAUSES_MS.length || performance.now() + wait >= due;
        if (isLast || !isPassing(error)) throw error;
        await pause(wait);
      }
    }
  };
}

/** Those the SDK repeats a call after. */
const CONNECTION_ERRORS = new Set([
  "ETIMEDOUT",
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ENOTFOUND",
  "EAI_AGAIN",
]);
const isPassing = (error: unknown): boolean => {
  const { statusCode, code } = error as { statusCode?: number; code?: string };
  if (error instanceof Refused)
    return statusCode === 408 || (statusCode! >= 500 && statusCode !== 501 && statusCode !== 505);
  return code !== undefined && CONNECTION_ERRORS.has(code);
};

/** What the service answered in place of 202. */
class Refused extends Error {
  override readonly name = "Refused";
  constructor(
    readonly statusCode: number,
    text: string,
  ) {
    super(text || `The socket service answered ${statusCode}.`);
  }
}

function post(
  request: typeof http.request,
  url: string,
  options: RequestOptions,
  body: Buffer,
  ms: number,
  quiet: Quiet,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = request(url, options, (answer) => {
      const { statusCode = 0 } = answer;
      const isDone = statusCode >= 200 && statusCode < 300;
      const throttled = isDone ? undefined : throttledBy(answer, quiet);
      const chunks: Buffer[] = [];
      let bytes = 0;
      answer.on("data", (chunk: Buffer) => {
        if (!isDone && bytes < TEXT_BYTES) chunks.push(chunk);
        bytes += chunk.length;
      });
      answer.on("error", fail);
      answer.once("end", () => {
        clearTimeout(late);
        if (isDone) resolve();
        else
          reject(throttled ?? new Refused(statusCode, Buffer.concat(chunks).toString("utf8", 0, TEXT_BYTES)));
      });
    });
    const fail = (error: Error): void => {
      clearTimeout(late);
      reject(error);
    };
    const late = setTimeout(
      () => call.destroy(new Error("The socket service did not answer in time.")),
      Math.max(1, ms),
    );
    call.on("error", fail);
    call.end(body);
  });
}

function throttledBy({ statusCode = 0, headers }: IncomingMessage, quiet: Quiet): Error | undefined {
  if (statusCode !== 429 && statusCode !== 503) return undefined;
  const header = (name: string): string | undefined => [headers[name] ?? []].flat()[0];
  const wait = askedToWait(header, Date.now());
  return wait === undefined ? undefined : quiet.note(statusCode, wait);
}
