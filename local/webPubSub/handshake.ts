import { randomBytes } from "node:crypto";
import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { z } from "zod";
import { Connection } from "./connection.js";
import { type EarlySocket, watchEarly } from "./earlySocket.js";
import { ConnectionEvents, type Proof } from "./events.js";
import { MAX_MESSAGE_BYTES } from "./frames.js";
import type { Hub } from "./hub.js";
import type { Log } from "./log.js";
import { hubOfClientPath, isGroupName } from "./names.js";
import { audienceMatches, type Claims, TokenError, type Tokens } from "./tokens.js";
import type { Upstream, UpstreamAnswer } from "./upstream.js";

export interface HandshakeParts {
  readonly hubs: ReadonlyMap<string, Hub>;
  /** Makes the headers that prove to event handlers that an event comes from the service. */
  readonly proofs: readonly Proof[];
  readonly tokens: Tokens;
  readonly upstream: Upstream;
  readonly log: Log;
}

/** A handshake that ends with an HTTP answer instead of a WebSocket. */
class Refusal extends Error {
  readonly status: number;
  readonly contentType: string;
  constructor(status: number, message: string, contentType = "text/plain; charset=utf-8") {
    super(message);
    this.status = status;
    this.contentType = contentType;
  }
}

interface Request {
  readonly message: IncomingMessage;
  readonly url: URL;
  readonly hub: Hub;
  readonly subprotocols: readonly string[];
}

/** The result of `connect`: who the client is, if anybody, and what it starts with. */
interface Welcome {
  readonly userId: string | undefined;
  readonly subprotocol: string | undefined;
  readonly groups: readonly string[];
  readonly roles: readonly string[];
}

const connectAnswer = z
  .object({
    userId: z.string().nullish(),
    groups: z.array(z.string().refine(isGroupName)).nullish(),
    roles: z.array(z.string()).nullish(),
    subprotocol: z.string().nullish(),
  })
  .nullable();

/** RFC 7230 §3.2.6 token, which a subprotocol name must be (RFC 6455 §4.1). */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Takes WebSocket handshakes on the client endpoint and opens connections. */
export class Handshakes {
  readonly #parts: HandshakeParts;
  readonly #chosen = new WeakMap<IncomingMessage, string>();
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    handleProtocols: (_offered, message) => this.#chosen.get(message) ?? false,
  });
  #closed = false;

  constructor(parts: HandshakeParts) {
    this.#parts = parts;
  }

  /** Answers one upgrade request; never throws. */
  async accept(message: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    const early = watchEarly(socket, head);
    try {
      const request = this.#parse(message);
      const claims = this.#authenticate(request);
      await this.#connect(request, claims, socket, early);
    } catch (error) {
      early.stop();
      if (!(error instanceof Refusal))
        this.#parts.log("error", `handshake failed: ${(error as Error).stack}`);
      refuse(socket, error instanceof Refusal ? error : new Refusal(500, "The handshake failed."));
    }
  }

  /** Refuses handshakes from now on, also those that wait for the `connect` event. */
  close(): void {
    this.#closed = true;
    this.#webSockets.close();
  }

  #parse(message: IncomingMessage): Request {
    const url = parseTarget(message.url);
    const hub = this.#parts.hubs.get(hubOfClientPath(url) ?? "");
    if (!hub) throw new Refusal(404, "There is no such hub.");
    const { upgrade, "sec-websocket-key": key, "sec-websocket-version": version } = message.headers;
    // Checked before `connect`, so that the handler gets only handshakes that can succeed (RFC 6455 §4.2.1).
    if (message.method !== "GET" || upgrade?.toLowerCase() !== "websocket") {
      throw new Refusal(400, "The client endpoint expects a WebSocket handshake.");
    }
    if (version !== "13" || !/^[+/0-9A-Za-z]{22}==$/.test(key ?? "")) {
      throw new Refusal(400, "The WebSocket handshake needs version 13 and a key of 16 bytes.");
    }
    const offered = message.headers["sec-websocket-protocol"];
    const subprotocols = offered === undefined ? [] : offered.split(",").map((name) => name.trim());
    if (!subprotocols.every((name) => TOKEN.test(name)) || new Set(subprotocols).size < subprotocols.length) {
      throw new Refusal(400, "Sec-WebSocket-Protocol must list different names.");
    }
    return { message, url, hub, subprotocols };
  }

  /**
   * The claims of the service token, or undefined for an anonymous client. A bearer token that is not the
   * service's own may be the application's: with anonymous clients allowed, `connect` decides about it.
   */
  #authenticate({ message, url, hub }: Request): Claims | undefined {
    const inQuery = url.searchParams.get("access_token");
    const bearer = /^Bearer +(\S+)$/i.exec(message.headers.authorization ?? "")?.[1];
    const token = inQuery ?? bearer;
    const allowsAnonymous = hub.config.anonymousConnectPolicy === "allow";
    if (token === undefined) {
      if (allowsAnonymous) return undefined;
      throw new Refusal(401, "The hub takes no anonymous clients: a token is needed in access_token.");
    }
    try {
      const claims = this.#parts.tokens.verify(token);
      const { host } = message.headers;
      if (!audienceMatches(claims, host, (aud) => hubOfClientPath(aud) === hub.name)) {
        throw new TokenError("The token's aud is not the client URL of this hub.");
      }
      if (!groupsOf(claims).every(isGroupName))
        throw new Refusal(400, "The token contains an invalid group name.");
      if (token === bearer) delete message.headers.authorization;
      return claims;
    } catch (error) {
      if (!(error instanceof TokenError)) throw error;
      if (inQuery === null && allowsAnonymous) return undefined;
      throw new Refusal(401, error.message);
    }
  }

  /** A handshake that fails from `connect` on brings no `disconnected`, even where the handler had agreed. */
  async #connect(
    request: Request,
    claims: Claims | undefined,
    socket: Duplex,
    early: EarlySocket,
  ): Promise<void> {
    const { hub, message } = request;
    const { upstream, proofs, log } = this.#parts;
    const id = randomBytes(16).toString("base64url");
    const identity = { hub: hub.name, connectionId: id, proofs };
    const events = new ConnectionEvents(hub.routes, upstream, identity);
    const subject = typeof claims?.["sub"] === "string" ? claims["sub"] : undefined;
    events.identify(subject, undefined);
    const answer = await events.connect(connectBody(request, claims), early.gone);
    if (answer && (answer.status < 200 || answer.status > 299)) throw relayed(answer);
    if (answer) events.takeState(answer);
    const { userId, subprotocol, groups, roles } = welcomeOf(request, claims, subject, answer);
    events.identify(userId, subprotocol);
    if (subprotocol !== undefined) this.#chosen.set(message, subprotocol);
    if (this.#closed) throw new Refusal(503, "The server is closing.");
    // `ws` calls back at once or, when the socket is gone, never.
    this.#webSockets.handleUpgrade(message, socket, early.stop(), (webSocket) => {
      const parts = { id, userId, roles, webSocket, socket, events, log };
      const connection = new Connection(parts, (gone) => hub.remove(gone));
      hub.add(connection);
      for (const group of groups) hub.join(connection, group);
      connection.announce();
      socket.resume();
    });
  }
}

function parseTarget(target = "/"): URL {
  try {
    return new URL(target, "http://localhost");
  } catch {
    throw new Refusal(400, "The request target is not a URL.");
  }
}

/**
 * The headers that `connect` gets, each as an array because it can be repeated. The service's own token has
 * been taken out of `Authorization` by now. Another token there is the application's, which decides about it.
 */
function connectBody({ message, url, subprotocols }: Request, claims: Claims | undefined): object {
  const query: Record<string, string[]> = {};
  for (const name of new Set(url.searchParams.keys())) {
    if (name !== "access_token") query[name] = url.searchParams.getAll(name);
  }
  const headers: Record<string, string[]> = {};
  for (const [name, value] of Object.entries(message.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value : [value];
  }
  const claimLists = Object.entries(claims ?? {}).map(([name, value]) => [name, strings(value)]);
  return { claims: Object.fromEntries(claimLists), query, headers, subprotocols, clientCertificates: [] };
}

function welcomeOf(
  { subprotocols }: Request,
  claims: Claims | undefined,
  subject: string | undefined,
  answer: UpstreamAnswer | undefined,
): Welcome {
  const said = parseConnectAnswer(answer) ?? {};
  const subprotocol = said.subprotocol || undefined;
  if (subprotocol !== undefined && !subprotocols.includes(subprotocol)) {
    throw new Refusal(
      500,
      `The connect event chose the subprotocol "${subprotocol}", which was not offered.`,
    );
  }
  return {
    // An empty user id makes the client anonymous.
    userId: (said.userId ?? subject) || undefined,
    subprotocol,
    // A value of the answer replaces the token's. An empty list does so for roles only.
    groups: said.groups?.length ? said.groups : groupsOf(claims),
    roles: said.roles ?? strings(claims?.["role"]),
  };
}

function groupsOf(claims: Claims | undefined): string[] {
  return strings(claims?.["webpubsub.group"]);
}

function parseConnectAnswer(answer: UpstreamAnswer | undefined): z.output<typeof connectAnswer> {
  if (!answer || answer.body.length === 0) return {};
  try {
    return connectAnswer.parse(JSON.parse(answer.body.toString()));
  } catch {
    throw new Refusal(500, "The connect event was answered with a body that is not the JSON it should be.");
  }
}

function strings(value: unknown): string[] {
  if (value === undefined || value === null) return [];
  return (Array.isArray(value) ? value : [value]).map((item) =>
    typeof item === "object" ? JSON.stringify(item) : String(item),
  );
}

/**
 * Turns the handler's answer to `connect` into the handshake's. A redirect would make no sense to a client.
 */
function relayed({ status, headers, body }: UpstreamAnswer): Refusal {
  const contentType = headers["content-type"];
  const type = typeof contentType === "string" ? contentType : "text/plain; charset=utf-8";
  return new Refusal(status >= 400 && status <= 599 ? status : 500, body.toString(), type);
}

function refuse(socket: Duplex, { status, message, contentType }: Refusal): void {
  const body = Buffer.from(message);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`,
    `Content-Type: ${contentType}`,
    `Content-Length: ${body.length}`,
    "Connection: close",
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  socket.end(body, () => socket.destroy());
}
