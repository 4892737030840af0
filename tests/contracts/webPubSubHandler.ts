import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import WebSocket from "ws";

export interface Event {
  readonly headers: IncomingHttpHeaders;
  readonly type: string;
  readonly body: Buffer;
}
export interface Reply {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
}
export type Answer = (
  event: Event,
  response: ServerResponse,
) => Reply | undefined | Promise<Reply | undefined>;

/** An event handler on plain node:http that records what it gets and answers as the test at hand says. */
export async function startHandler() {
  const state = {
    port: 0,
    events: [] as Event[],
    validations: [] as IncomingHttpHeaders[],
    allowedOrigin: "*" as string | undefined,
    /** Validations get no answer. */
    holdsValidations: false,
    validatesBy: "OPTIONS",
    answer: defaultAnswer as Answer,
    sdk: undefined as ((request: IncomingMessage, response: ServerResponse) => void) | undefined,
    ofType: (type: string) => state.events.filter((event) => event.type === `azure.webpubsub.${type}`),
    reset() {
      Object.assign(state, {
        events: [],
        allowedOrigin: "*",
        holdsValidations: false,
        validatesBy: "OPTIONS",
        answer: defaultAnswer,
      });
    },
    close: async () => {
      http.close();
      http.closeAllConnections();
      await once(http, "close");
    },
  };
  const http = createServer(async (request, response) => {
    if (request.url?.startsWith("/sdk")) return state.sdk?.(request, response);
    if (request.method === "OPTIONS" && state.validatesBy === "GET") return response.writeHead(404).end();
    if (request.method !== "POST") {
      state.validations.push(request.headers);
      if (state.allowedOrigin !== undefined)
        response.setHeader("WebHook-Allowed-Origin", state.allowedOrigin);
      return state.holdsValidations ? undefined : response.end();
    }
    const body = Buffer.concat(await request.toArray());
    const event = { headers: request.headers, type: String(request.headers["ce-type"]), body };
    state.events.push(event);
    const reply = await state.answer(event, response);
    if (reply) response.writeHead(reply.status ?? 200, reply.headers).end(reply.body);
    return undefined;
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  state.port = (http.address() as AddressInfo).port;
  return state;
}

export const defaultAnswer: Answer = ({ type }) =>
  type.endsWith("sys.connect") ? json({ userId: "7" }) : { status: 204 };

export function json(value: object, headers: Record<string, string> = {}): Reply {
  return { headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(value) };
}

export function textReply(body: string, headers: Record<string, string> = {}): Reply {
  return { headers: { "content-type": "text/plain", ...headers }, body };
}

export const opened: WebSocket[] = [];

/** A WebSocket client that keeps what it receives until the test asks for it. */
export async function open(url: string, protocols: string[] = [], headers: Record<string, string> = {}) {
  const socket = new WebSocket(url, protocols, { headers });
  opened.push(socket);
  const received: (string | Buffer)[] = [];
  const waiting: ((frame: string | Buffer) => void)[] = [];
  socket.on("message", (data, isBinary) => {
    const frame = isBinary ? (data as Buffer) : data.toString();
    const taker = waiting.shift();
    if (taker) taker(frame);
    else received.push(frame);
  });
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  await new Promise<void>((resolve, reject) => {
    socket.on("open", () => resolve());
    socket.on("error", reject);
  });
  const next = async () =>
    received.shift() ?? (await new Promise<string | Buffer>((take) => waiting.push(take)));
  return { socket, closed, next, received };
}

/** The HTTP answer of a handshake that is expected to fail. */
export async function refused(url: string, protocols: string[] = [], headers: Record<string, string> = {}) {
  const socket = new WebSocket(url, protocols, { headers });
  socket.on("error", () => {});
  const [, response] = (await once(socket, "unexpected-response")) as [unknown, IncomingMessage];
  const body = Buffer.concat(await response.toArray()).toString();
  return { status: response.statusCode, body };
}

export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 30_000; tries++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("what the test waits for did not happen");
}
