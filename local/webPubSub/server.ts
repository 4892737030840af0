import { once } from "node:events";
import { createServer, type Server as HttpServer, type IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Access, accessBy, authenticate } from "./access.js";
import { type ConfigInput, parseConfig } from "./config.js";
import { Handshakes } from "./handshake.js";
import { Hub } from "./hub.js";
import type { Identity } from "./identity.js";
import { type Log, silent } from "./log.js";
import { HUB_NAME, hubOfClientPath } from "./names.js";
import { handleRest } from "./rest.js";
import { badRequest, type RestAnswer, RestError } from "./restCall.js";
import { answerGarbage, failed, readBody, respond } from "./restHttp.js";
import { requireVersion } from "./restQuery.js";
import { Upstream } from "./upstream.js";
import { WireBytes } from "./wireBytes.js";

export interface Options {
  readonly config: ConfigInput;
  /** 0, the default, takes any free port. */
  readonly port?: number;
  readonly host?: string;
  readonly log?: Log;
  /** Pauses before an event's second and later tries. */
  readonly retryPausesMs?: readonly number[];
  /** How long an event may take in all, with its repeats. */
  readonly callTimeoutMs?: number;
  /** How long an event handler's agreement to get events holds before it is asked again. */
  readonly validationIntervalMs?: number;
  readonly validationTimeoutMs?: number;
}

export interface Server {
  readonly port: number;
  /** Closes every client with 1001, waits up to 2 s for the `disconnected` events, then ends everything. */
  close(): Promise<void>;
}

const MAX_SOCKETS = 20_000;
const CLOSE_GRACE_MS = 2000;

/** Starts a server; throws when the configuration is wrong or the port is taken. */
export async function start(options: Options): Promise<Server> {
  const config = parseConfig(options.config);
  let ended = false;
  // Events that are cut off at the end are told once, in sum, and not for each connection.
  const log: Log = (level, text) => ended || (options.log ?? silent)(level, text);
  const { retryPausesMs = [1000, 3000, 5000], host = "127.0.0.1" } = options;
  const access = accessBy(config);
  const upstream = new Upstream({
    retryPausesMs,
    callTimeoutMs: options.callTimeoutMs ?? 100_000,
    validationIntervalMs: options.validationIntervalMs ?? 60_000,
    validationTimeoutMs: options.validationTimeoutMs ?? 10_000,
    log,
  });
  const all = Object.entries(config.hubs).map(([name, hub]) => new Hub(name, hub));
  const hubs = new Map(all.map((hub) => [hub.name, hub]));
  const { tokens, proofs } = access;
  const handshakes = new Handshakes({ hubs, proofs, tokens, upstream, log });

  const counts = { restCalls: 0, restSends: 0 };
  const http = buildHttp({ hubs, access, log, upstream, counts, wire: new WireBytes() }, handshakes);
  try {
    await listen(http, options.port ?? 0, host);
  } catch (error) {
    for (const hub of hubs.values()) hub.stop();
    await upstream.close();
    throw error;
  }
  const { port } = http.address() as AddressInfo;
  upstream.origin = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  let closing: Promise<void> | undefined;
  return {
    port,
    close: () => {
      const parts = { http, hubs, handshakes, upstream, log };
      closing ??= shutDown(parts, () => {
        ended = true;
      });
      return closing;
    },
  };
}

interface Parts {
  readonly http: HttpServer;
  readonly hubs: ReadonlyMap<string, Hub>;
  readonly handshakes: Handshakes;
  readonly upstream: Upstream;
  readonly log: Log;
}

/** How often the service was called; for measurements. */
interface Counts {
  restCalls: number;
  restSends: number;
}

interface Plane {
  readonly upstream: Upstream;
  readonly counts: Counts;
  /** Of REST calls, and of handshakes. */
  readonly wire: WireBytes;
  readonly hubs: ReadonlyMap<string, Hub>;
  readonly access: Access;
  readonly log: Log;
}

function buildHttp(plane: Plane, handshakes: Handshakes): HttpServer {
  const http = createServer({ keepAliveTimeout: 65_000, noDelay: true });
  http.maxConnections = MAX_SOCKETS;
  http.on("connection", (socket) => plane.wire.add(socket));
  http.on("request", (request, response) => {
    // Calls without a body wait for their end too, so that all are handled in the order in which they
    // arrived.
    readBody(request, response, (body) => respond(response, route(plane, request, body)));
  });
  http.on("upgrade", (request, socket, head) => {
    plane.wire.leave(socket as Socket);
    void handshakes.accept(request, socket, head);
  });
  http.on("clientError", (error: NodeJS.ErrnoException, socket) => answerGarbage(error, socket as Socket));
  return http;
}

function route(plane: Plane, request: IncomingMessage, body: Buffer): RestAnswer {
  try {
    return dispatch(plane, request, body);
  } catch (error) {
    if (error instanceof RestError) return failed(error);
    plane.log("error", `${request.method} ${request.url} failed: ${(error as Error).stack}`);
    return failed(new RestError(500, "InternalError", "The call failed; the server's log says why."));
  }
}

function dispatch(plane: Plane, request: IncomingMessage, body: Buffer): RestAnswer {
  const { hubs, access } = plane;
  const { method = "GET", url: target = "/", headers } = request;
  const [pathname, search] = splitTarget(target);
  if (pathname === "/stats" && method === "GET") return stats(plane);
  const query = new URLSearchParams(search);
  if (pathname.startsWith("/api/")) requireVersion(query);
  if (pathname === "/api/health" && (method === "HEAD" || method === "GET")) return { status: 200 };
  if (access.identity && pathname.startsWith("/identity/") && method === "GET")
    return identityAnswer(access.identity, pathname, search, headers);
  const match = /^\/api\/hubs\/([^/]+)\/(.+)$/.exec(pathname);
  if (!match) throw notFound(pathname);
  authenticate(access, request, pathname, search);
  const [, segment = "", path = ""] = match;
  const hub = hubNamed(segment, hubs);
  const origin = `http://${headers.host ?? "localhost"}`;
  const contentType = headers["content-type"] ?? "";
  plane.counts.restCalls += 1;
  if (path.endsWith(":send")) plane.counts.restSends += 1;
  const hasLength = headers["content-length"] !== undefined;
  return handleRest({
    method,
    hub,
    path,
    query,
    contentType,
    body,
    hasLength,
    origin,
    tokens: access.tokens,
  });
}

/** In the service every hub exists. Here an undeclared one is more likely a mistake. */
function hubNamed(segment: string, hubs: Plane["hubs"]): Hub {
  let name = "";
  try {
    name = decodeURIComponent(segment);
  } catch {
    // The name is not valid.
  }
  if (!HUB_NAME.test(name)) throw badRequest("Invalid hub name.");
  const hub = hubs.get(name.toLowerCase());
  if (hub) return hub;
  throw new RestError(404, "HubNotFound", `There is no hub "${name}".`);
}

/**
 * The counters of this server, which the real service does not have: how many events went out to handlers, how
 * many REST calls came in, and the bytes of both, headers and answers included.
 */
function stats({ counts, upstream, wire }: Plane): RestAnswer {
  const bytes = { upstreamBytes: upstream.bytes, restBytes: wire.total };
  return { status: 200, body: { upstreamCalls: upstream.delivered, ...counts, ...bytes } };
}

function notFound(pathname: string): RestError {
  if (URL.canParse(pathname, "http://localhost") && hubOfClientPath(new URL(pathname, "http://localhost"))) {
    return badRequest("The client endpoint expects a WebSocket handshake.");
  }
  return new RestError(404, "NotFound", `There is nothing at ${pathname}.`);
}

/**
 * The endpoints that stand in for Entra ID: the public keys, and tokens for the application in App Service's
 * form.
 */
function identityAnswer(
  identity: Identity,
  pathname: string,
  search: string,
  headers: IncomingMessage["headers"],
): RestAnswer {
  if (pathname === "/identity/keys") return { status: 200, body: identity.keySet() };
  if (pathname !== "/identity/token") throw notFound(pathname);
  const token = identity.issue(new URLSearchParams(search), headers["x-identity-header"]);
  if (token) return { status: 200, body: token };
  const wanted = "?resource=…&api-version=2019-08-01 and the header X-IDENTITY-HEADER of the configuration";
  throw badRequest(`A token needs ${wanted}.`);
}

function splitTarget(target: string): [pathname: string, search: string] {
  const at = target.indexOf("?");
  return at < 0 ? [target, ""] : [target.slice(0, at), target.slice(at)];
}

function listen(http: HttpServer, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    http.once("error", reject);
    http.listen(port, host, 1024, () => {
      http.off("error", reject);
      resolve();
    });
  });
}

/** Closes the clients and waits, up to a limit, until their last events are delivered. */
async function drain({ http, hubs, handshakes, upstream, log }: Parts): Promise<void> {
  http.close();
  handshakes.close();
  for (const hub of hubs.values()) {
    hub.stop();
    for (const connection of hub.connections.values()) connection.close(1001, "The server is closing.");
  }
  const deadline = Date.now() + CLOSE_GRACE_MS;
  const isDone = () =>
    upstream.delivering === 0 && [...hubs.values()].every((hub) => hub.unfinished.size === 0);
  while (!isDone() && Date.now() < deadline) await sleep(10);
  if (upstream.delivering > 0) log("warn", `ended with ${upstream.delivering} events not delivered`);
}

async function shutDown(parts: Parts, onDrained: () => void): Promise<void> {
  const { http, hubs, upstream } = parts;
  const closed = once(http, "close");
  await drain(parts);
  onDrained();
  await upstream.close();
  for (const hub of hubs.values()) {
    for (const connection of hub.unfinished) connection.terminate();
  }
  http.closeAllConnections();
  await closed;
}
