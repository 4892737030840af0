import { randomUUID } from "node:crypto";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { allowOrigin, type Cors, isCorsHeader, setAppHeader } from "./cors.js";
import { formatCookie, toHttpData } from "./httpMessages.js";
import { forwardToApp } from "./httpStream.js";
import { describe, type Log } from "./log.js";
import { type RouteMatch, RouteTable } from "./routes.js";
import type { HttpData, InvocationRequest, InvocationResponse, RegisteredFunction } from "./rpc.js";
import type { Worker } from "./worker.js";

/** The largest request body, in bytes (Azure: 100 MB; nothing this app takes comes near). */
const maxBody = 16 * 1024 * 1024;

interface Target {
  readonly fn: RegisteredFunction;
  readonly bindingName: string;
}

/** A function that `POST /admin/functions/{name}` calls. */
export interface CalledByHand {
  readonly name: string;
  callByHand(): void;
}

/**
 * An HTTP server, not yet listening, that calls the HTTP-triggered functions of `worker`, and those of `byHand` when told to;
 * throws on a bad route.
 */
export function createHttpServer(
  worker: Worker,
  routePrefix: string,
  log: Log,
  byHand: readonly CalledByHand[],
  cors: Cors | undefined,
): http.Server {
  const routes = new RouteTable<Target>();
  for (const fn of worker.functions.values()) {
    const found = Object.entries(fn.metadata.bindings).find(([, { type }]) => type === "httpTrigger");
    if (!found) continue;
    const [bindingName, binding] = found;
    const template = `${routePrefix}/${binding.route || fn.metadata.name}`.replace(/^\/+/, "");
    routes.add(template, binding.methods ?? ["GET", "POST"], { fn, bindingName });
  }
  const server = http.createServer((request, response) => {
    // What the host offers for itself is not for pages.
    if (!/^\/+admin(\/|$)/i.test(request.url ?? "") && allowOrigin(cors, request, response)) return;
    handle(worker, routes, byHand, request, response).catch((error) => {
      log.write("error", `${request.method} ${request.url}: ${describe(error, true)}`);
      refuse(response, 500);
    });
  });
  // Longer than the keep-alive of the usual clients and gateways, so that they close first and no request meets a
  // connection that is just being closed.
  server.keepAliveTimeout = 75_000;
  server.headersTimeout = 76_000;
  return server;
}

async function handle(
  worker: Worker,
  routes: RouteTable<Target>,
  byHand: readonly CalledByHand[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = request.url ?? "/";
  const question = url.indexOf("?");
  const path = question < 0 ? url : url.slice(0, question);
  if (path === "/admin/host/status") return status(response);
  const named = request.method === "POST" && /^\/admin\/functions\/([^/]+)$/.exec(path);
  if (named) return callByHand(named[1]!, byHand, request, response);
  const found = routes.find(request.method ?? "GET", path);
  // A path whose route exists for other methods only is 404 too: the real host never answers 405.
  if (!found) return refuse(response, 404);
  // Whatever is neither a path nor a plain host name could not become the absolute URL the function gets.
  if (url[0] !== "/" || !/^[\w.:[\]-]*$/.test(request.headers.host ?? "")) return refuse(response, 400);
  if (worker.httpUri !== undefined) return invokeStreaming(worker, worker.httpUri, found, request, response);
  const body = await readBody(request);
  if (body === "aborted") return;
  if (body === "too large") return refuse(response, 413, true);
  await invoke(worker, found, request, response, body);
}

// Only from this machine, whatever address the host listens on: in Azure a key is asked for here. The answer says that the call has begun, not how it ends. What the body's "input" holds means nothing to a timer, but an
// object of JSON must be there; and only with this content type, which no form of a foreign web page can send.
async function callByHand(
  name: string,
  byHand: readonly CalledByHand[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!isLoopback(request.socket.remoteAddress)) return refuse(response, 403, true);
  if (!/^application\/json\s*(;|$)/i.test(request.headers["content-type"] ?? ""))
    return refuse(response, 415, true);
  const body = await readBody(request);
  if (body === "aborted") return;
  if (body === "too large") return refuse(response, 413, true);
  if (!isJsonObject(body?.toString() ?? "")) return refuse(response, 400);
  const called = byHand.find((one) => one.name.toLowerCase() === name.toLowerCase());
  called?.callByHand();
  refuse(response, called ? 202 : 404);
}

async function invoke(
  worker: Worker,
  { target, params }: RouteMatch<Target>,
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer | undefined,
): Promise<void> {
  const data = { http: toHttpData(request, params, body) };
  const invocation = invocationRequest(target, request, { inputData: [{ name: target.bindingName, data }] });
  let result: InvocationResponse;
  try {
    result = await worker.invoke(target.fn, invocation);
  } catch {
    // The worker has logged it; like in Azure the client learns nothing about it.
    return refuse(response, 500);
  }
  const http = result.returnValue?.http ?? result.outputData?.find(({ data }) => data.http)?.data.http;
  send(response, http);
}

// With `app.setup({ enableHttpStream: true })` the library runs a server of its own: the host passes the request on to
// it, and at the same time starts the invocation that the request belongs to.
async function invokeStreaming(
  worker: Worker,
  httpUri: string,
  { target, params }: RouteMatch<Target>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { nullableHeaders } = toHttpData(request, params, undefined);
  const headers = Object.entries(nullableHeaders ?? {}).map(([name, { value }]) => [name, value]);
  const invocation = invocationRequest(target, request, {
    inputData: [{ name: target.bindingName, data: { http: {} } }],
    triggerMetadata: {
      ...Object.fromEntries(Object.entries(params).map(([name, value]) => [name, { string: value }])),
      Headers: { json: JSON.stringify(Object.fromEntries(headers)) },
    },
  });
  const forwarding = forwardToApp(httpUri, invocation.invocationId, request, response);
  try {
    await worker.invoke(target.fn, invocation);
  } catch {
    forwarding.abandon();
    refuse(response, 500);
  }
}

function invocationRequest(
  { fn }: Target,
  { headers }: IncomingMessage,
  rest: Pick<InvocationRequest, "inputData"> & Partial<InvocationRequest>,
): InvocationRequest {
  const { traceparent, tracestate } = headers;
  return {
    invocationId: randomUUID(),
    functionId: fn.id,
    triggerMetadata: {},
    traceContext: {
      ...(typeof traceparent === "string" && { traceParent: traceparent }),
      ...(typeof tracestate === "string" && { traceState: tracestate }),
    },
    ...rest,
  };
}

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

async function readBody(request: IncomingMessage): Promise<Buffer | undefined | "too large" | "aborted"> {
  const length = request.headers["content-length"];
  if (length === undefined && request.headers["transfer-encoding"] === undefined) return undefined;
  if (Number(length ?? 0) > maxBody) return "too large";
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    // Leaving the loop early must not close the socket: the answer still has to go out.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      size += (chunk as Buffer).length;
      if (size > maxBody) return "too large";
      chunks.push(chunk as Buffer);
    }
  } catch {
    return "aborted";
  }
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
}

function send(response: ServerResponse, http: HttpData | null | undefined): void {
  // The client may have gone by now.
  if (response.destroyed) return;
  // A function that gives nothing back.
  if (!http) {
    refuse(response, 204);
    return;
  }
  response.statusCode = Number(http.statusCode ?? 200);
  for (const [name, value] of Object.entries(http.headers ?? {})) setAppHeader(response, name, value);
  const cookies = (http.cookies ?? []).map(formatCookie);
  if (cookies.length > 0) response.appendHeader("set-cookie", cookies);
  const body = http.body?.bytes ?? http.body?.string;
  if (body === undefined || body.length === 0) response.end();
  else response.end(body);
}

function refuse(response: ServerResponse, statusCode: number, close = false): void {
  if (response.headersSent) {
    // Half an answer must not look like a whole one.
    response.destroy();
    return;
  }
  for (const name of response.getHeaderNames()) if (!isCorsHeader(name)) response.removeHeader(name);
  response.writeHead(statusCode, {
    ...(statusCode !== 204 && { "content-length": 0 }),
    ...(close && { connection: "close" }),
  });
  response.end();
}

function status(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "application/json" });
  response.end('{"state":"Running"}');
}
