import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { z } from "zod";
import { LOOPBACK } from "../ports.js";
import type { AuthSettings } from "../settings.js";
import { signToken } from "../tokens.js";
import { DEMO_USERS, TokenRequest } from "./demo.js";
import { type PageFile, readPage } from "./files.js";
import { type Elsewhere, securityHeaders } from "./security.js";

export interface Options extends Elsewhere {
  /** 0 takes any free one. */
  readonly port: number;
  /** The built page. */
  readonly folder: string;
  /** The settings that demo users' tokens are signed with. */
  readonly auth: AuthSettings;
}

export interface Server {
  readonly port: number;
  close(): Promise<void>;
}

const MOST_BODY_BYTES = 1_024;
const FOR_EVER_S = 31_536_000;

/**
 * Serves the page, on the loopback interface only, with what it needs on a developer's machine: the API's
 * address and tokens for demo users. Rejects when the page was not built or the port is taken.
 */
export async function start({ port, folder, auth, ...elsewhere }: Options): Promise<Server> {
  const served = { files: readPage(folder), auth, elsewhere };
  // Every answer has these headers, errors too. This throws now when an address is wrong.
  const [ofPage, ofPicture] = [securityHeaders("/", elsewhere), securityHeaders("/picture.html", elsewhere)];
  const server = createServer((request, response) => {
    const isPicture = pathOf(request) === "/picture.html";
    for (const [name, value] of Object.entries(isPicture ? ofPicture : ofPage))
      response.setHeader(name, value);
    if (!isForUs(request)) return json(response, 400, { error: "ask for this server by its own address" });
    answer(request, response, served).catch(() => {
      if (response.headersSent) response.destroy();
      else json(response, 500, { error: "the page's server failed" });
    });
  });
  server.requestTimeout = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, LOOPBACK, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/**
 * True when the request was made to our own name. A foreign page, whose host name was made to lead here,
 * would otherwise get tokens.
 */
function isForUs({ headers, socket }: IncomingMessage): boolean {
  return [LOOPBACK, "localhost"].some((name) => headers.host === `${name}:${socket.localPort}`);
}

interface Served {
  readonly files: ReadonlyMap<string, PageFile>;
  readonly auth: AuthSettings;
  readonly elsewhere: Elsewhere;
}

const pathOf = ({ url = "/" }: IncomingMessage): string => url.split("?")[0]!;

async function answer(request: IncomingMessage, response: ServerResponse, served: Served): Promise<void> {
  const path = pathOf(request);
  if (path === "/demo/token") return token(request, response, served.auth);
  if (request.method !== "GET" && request.method !== "HEAD") return notAllowed(response, "GET, HEAD");
  const { api, imageHosts } = served.elsewhere;
  if (path === "/config.json") return json(response, 200, { api, imageHosts });
  if (path === "/demo/users") return json(response, 200, { users: DEMO_USERS });
  // An address within the page. A missing file is told by its extension.
  const file = served.files.get(path) ?? (/\.\w+$/.test(path) ? undefined : served.files.get("/index.html"));
  if (!file) return json(response, 404, { error: "there is no such file" });
  const gzipped = /\bgzip\b/.test(String(request.headers["accept-encoding"] ?? ""))
    ? file.gzipped
    : undefined;
  response.writeHead(200, {
    "content-type": file.type,
    "cache-control": file.isHashed ? `public, max-age=${FOR_EVER_S}, immutable` : "no-cache",
    "content-length": (gzipped ?? file.body).length,
    vary: "Accept-Encoding",
    ...(gzipped && { "content-encoding": "gzip" }),
  });
  response.end(request.method === "HEAD" ? undefined : (gzipped ?? file.body));
}

/**
 * Gives out a token. Only requests with this content type count, which a form of a foreign page can't send.
 */
async function token(request: IncomingMessage, response: ServerResponse, auth: AuthSettings): Promise<void> {
  if (request.method !== "POST") return notAllowed(response, "POST");
  if (!/^application\/json\s*(;|$)/i.test(request.headers["content-type"] ?? ""))
    return json(response, 415, { error: "the content type must be application/json" });
  const asked = await body(request);
  if (asked === undefined)
    return json(response, 400, { error: `the body must be JSON of at most ${MOST_BODY_BYTES} bytes` });
  const read = TokenRequest.safeParse(asked);
  if (!read.success) return json(response, 400, { error: z.prettifyError(read.error) });
  const { userId, seconds } = read.data;
  const user = DEMO_USERS.find((one) => one.userId === userId)!;
  const expiresAt = new Date((Math.floor(Date.now() / 1_000) + seconds) * 1_000).toISOString();
  json(response, 200, { token: await signToken(auth, user, seconds), expiresAt });
}

/** The parsed body. Undefined when it is too long or not JSON. */
async function body(request: IncomingMessage): Promise<unknown> {
  let text = "";
  // Leaving the loop early must not close the socket: the answer still has to go out.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    text += chunk;
    if (text.length > MOST_BODY_BYTES) return undefined;
  }
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function notAllowed(response: ServerResponse, allow: string): void {
  response.setHeader("allow", allow);
  json(response, 405, { error: `only ${allow}` });
}

function json(response: ServerResponse, status: number, value: object): void {
  const text = JSON.stringify(value);
  response.writeHead(status, {
    "content-type": "application/json",
    "cache-control": "no-store",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}
