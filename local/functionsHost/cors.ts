import type { IncomingMessage, ServerResponse } from "node:http";

/** The pages that may call the app from browsers, as `Host.CORS` in the settings file says. */
export interface Cors {
  /** `*`, or origins like `http://127.0.0.1:7070`. */
  readonly origins: readonly string[];
  /** True when calls may bring cookies. Never with `*`. */
  readonly credentials: boolean;
}

/** How long a browser may remember the answer to a preflight, in seconds. */
const MAX_AGE_S = 600;

/**
 * Treats a call from a page of another origin as the host itself does (Fetch standard, "CORS protocol"). It
 * puts the headers that allow the origin into the answer. It answers preflights, which never reach a
 * function, and then returns true. An origin that is not allowed gets no header, so the browser keeps the
 * answer from the page.
 */
export function allowOrigin(
  cors: Cors | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  const { origin } = request.headers;
  if (!cors || origin === undefined) return false;
  const anyOrigin = cors.origins.includes("*");
  const allowed = anyOrigin || cors.origins.includes(origin);
  if (!anyOrigin) response.setHeader("Vary", "Origin");
  if (allowed) {
    response.setHeader("Access-Control-Allow-Origin", anyOrigin ? "*" : origin);
    if (cors.credentials) response.setHeader("Access-Control-Allow-Credentials", "true");
  }
  const asked = request.headers["access-control-request-method"];
  if (request.method !== "OPTIONS" || asked === undefined) return false;
  if (allowed) {
    response.setHeader("Access-Control-Allow-Methods", asked);
    const headers = request.headers["access-control-request-headers"];
    if (headers) response.setHeader("Access-Control-Allow-Headers", headers);
    response.setHeader("Access-Control-Max-Age", MAX_AGE_S);
  }
  response.writeHead(204).end();
  return true;
}

/** The headers that `allowOrigin` sets. They stay, whatever the answer is. */
export const isCorsHeader = (name: string): boolean => /^(access-control-|vary$)/i.test(name);

/**
 * Puts a header of the function's answer into the host's. A header that `allowOrigin` has set wins, and
 * `Vary` names both.
 */
export function setAppHeader(response: ServerResponse, name: string, value: string | string[]): void {
  if (!isCorsHeader(name) || !response.hasHeader(name)) response.setHeader(name, value);
  else if (/^vary$/i.test(name)) response.appendHeader(name, value);
}
