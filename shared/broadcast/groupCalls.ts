import { setTimeout as pause } from "node:timers/promises";
import { Agent, type Dispatcher } from "undici";
import { fullJitter } from "../platform/async.js";
import type { Authorization } from "./authorization.js";
import { askedToWait, type Quiet } from "./retryAfter.js";

/**
 * The REST calls "Send To Group", "Add Connection To Group", "Remove Connection From Group" and "Group Exists" without
 * the SDK's pipeline: each stored message is at least one of the first, each subscription one of the second, each
 * connection's end one of the last, and the pipeline with its dozen policies, spans and a token signed anew took more
 * than all else of showing a message. The calls on the wire are the SDK's, as are their tokens and their repeats; every
 * other call goes through the SDK.
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

export interface GroupCallOptions {
  readonly endpoint: string;
  readonly hub: string;
  readonly authorization: Authorization;
  /** Keeps calls away for as long as the service has asked for that. */
  readonly quiet: Quiet;
}

/**
 * Each takes so many milliseconds at most, repeats included. Throws what the service answered, with its `statusCode`,
 * `Throttled` where it asks for a pause, or the connection's error.
 */
export interface GroupCalls {
  /** Sends one text to all of a group. */
  send(group: string, text: string, ms: number): Promise<void>;
  /** Throws 404 where there is no such connection. */
  join(group: string, connectionId: string, ms: number): Promise<void>;
  leave(group: string, connectionId: string, ms: number): Promise<void>;
  /** Whether any connection is in the group. */
  exists(group: string, ms: number): Promise<boolean>;
}

type Asked = Pick<Dispatcher.DispatchOptions, "method" | "body"> & {
  readonly path: string;
  readonly headers: readonly string[];
  /** Whether the same URL is called often, so that its token is kept. */
  readonly isFrequent: boolean;
};

export function createGroupCalls({ endpoint, hub, authorization, quiet }: GroupCallOptions): GroupCalls {
  const { origin, pathname } = new URL(endpoint);
  const base = `${pathname.replace(/\/+$/, "")}/api/hubs/${encodeURIComponent(hub)}/groups/`;
  const agent = new Agent({
    connections: SOCKETS,
    pipelining: 1,
    keepAliveTimeout: IDLE_MS,
    keepAliveMaxTimeout: IDLE_MS,
    // Each call has its own limit, for all of it.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const pathOf = (group: string, what: string): string =>
    `${base}${encodeURIComponent(group)}${what}?api-version=${API_VERSION}`;
  const ask = async ({ path, headers, isFrequent, ...asked }: Asked, ms: number): Promise<void> => {
    const url = origin + path;
    const due = performance.now() + ms;
    for (let tried = 0; ; tried += 1) {
      const proof = isFrequent ? authorization.header(url) : authorization.headerOnce(url);
      const proved = ["authorization", typeof proof === "string" ? proof : await proof, ...headers];
      // Undici by itself closes a connection behind a HEAD, for servers that answer it with a body.
      const call = { origin, path, headers: proved, reset: false, ...asked };
      try {
        await exchange(agent, call, due - performance.now(), quiet);
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
  const member = (method: "PUT" | "DELETE") => (group: string, connectionId: string, ms: number) => {
    const path = pathOf(group, `/connections/${encodeURIComponent(connectionId)}`);
    return ask({ method, path, headers: [], isFrequent: false }, ms);
  };
  return {
    send: (group, text, ms) =>
      ask({ method: "POST", path: pathOf(group, "/:send"), headers: TEXT, body: text, isFrequent: true }, ms),
    join: member("PUT"),
    leave: member("DELETE"),
    async exists(group, ms) {
      try {
        await ask({ method: "HEAD", path: pathOf(group, ""), headers: [], isFrequent: false }, ms);
        return true;
      } catch (error) {
        if ((error as { statusCode?: unknown }).statusCode === 404) return false;
        throw error;
      }
    },
  };
}

const TEXT = ["content-type", "text/plain"];

/** Those the SDK repeats a call after; the last is undici's name for a connection that was closed. */
const CONNECTION_ERRORS = new Set([
  "ETIMEDOUT",
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_SOCKET",
]);
const isPassing = (error: unknown): boolean => {
  const { statusCode, code } = error as { statusCode?: number; code?: string };
  if (error instanceof Refused)
    return statusCode === 408 || (statusCode! >= 500 && statusCode !== 501 && statusCode !== 505);
  return code !== undefined && CONNECTION_ERRORS.has(code);
};

/** What the service answered in place of a success. */
class Refused extends Error {
  override readonly name = "Refused";
  constructor(
    readonly statusCode: number,
    text: string,
  ) {
    super(text || `The socket service answered ${statusCode}.`);
  }
}

function exchange(agent: Agent, call: Dispatcher.DispatchOptions, ms: number, quiet: Quiet): Promise<void> {
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | undefined;
    let stopped: Error | undefined;
    let status = 0;
    let throttled: Error | undefined;
    let bytes = 0;
    const chunks: Buffer[] = [];
    const late = setTimeout(
      () => {
        stopped = new Error("The socket service did not answer in time.");
        controller?.abort(stopped);
        reject(stopped);
      },
      Math.max(1, ms),
    );
    agent.dispatch(call, {
      onRequestStart(started) {
        // Thrown, it leaves the connection to the next call; an abort would close it.
        if (stopped) throw stopped;
        controller = started;
      },
      onResponseStart(_controller, statusCode, headers) {
        status = statusCode;
        if (!isDone(status)) throttled = throttledBy(status, headers, quiet);
      },
      onResponseData(_controller, chunk) {
        if (!isDone(status) && bytes < TEXT_BYTES) chunks.push(chunk);
        bytes += chunk.length;
      },
      onResponseEnd() {
        clearTimeout(late);
        if (isDone(status)) resolve();
        else reject(throttled ?? new Refused(status, Buffer.concat(chunks).toString("utf8", 0, TEXT_BYTES)));
      },
      onResponseError(_controller, error) {
        clearTimeout(late);
        reject(error);
      },
    });
  });
}

const isDone = (status: number): boolean => status >= 200 && status < 300;

function throttledBy(
  status: number,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  quiet: Quiet,
): Error | undefined {
  if (status !== 429 && status !== 503) return undefined;
  const header = (name: string): string | undefined => [headers[name] ?? []].flat()[0];
  const wait = askedToWait(header, Date.now());
  return wait === undefined ? undefined : quiet.note(status, wait);
}
