import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Config } from "./config.js";
import { type Proof, signatures } from "./events.js";
import { Identity } from "./identity.js";
import { RestError } from "./restCall.js";
import { algorithmOf, audienceMatches, type Claims, checkTimes, TokenError, Tokens } from "./tokens.js";

/** So many proofs are kept; then all are forgotten. */
const PROVED_AT_MOST = 1_000;

/** How callers prove who they are, and how this server proves who it is. */
export interface Access {
  /** Signs and verifies by the access keys. Without any, by a key that only this server has. */
  readonly tokens: Tokens;
  readonly takesKeys: boolean;
  readonly identity: Identity | undefined;
  readonly proofs: readonly Proof[];
  /**
   * The claims of tokens of an access key that were taken, by token, host and URL: who sends to a group does it
   * often.
   */
  readonly proved: Map<string, Claims>;
}

/** The access that a configuration describes. */
export function accessBy({ accessKeys, managedIdentity, disableLocalAuth }: Config): Access {
  const takesKeys = !disableLocalAuth;
  const identity = managedIdentity && new Identity(managedIdentity);
  const proofs: Proof[] = takesKeys ? [signatures(accessKeys)] : [];
  // One for all connections, but not for ever.
  if (identity) proofs.push(() => () => ["Authorization", `Bearer ${identity.upstreamToken()}`]);
  const tokens = new Tokens(takesKeys ? accessKeys : [randomBytes(32).toString("base64")]);
  return { tokens, takesKeys, identity, proofs, proved: new Map() };
}

/**
 * Lets a REST call in by a token of an access key, which must name this very URL (with or without its query),
 * or by an Entra token. Throws RestError.
 */
export function authenticate(
  { tokens, takesKeys, identity, proved }: Access,
  request: IncomingMessage,
  pathname: string,
  search: string,
): void {
  const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
  if (token === undefined) throw new RestError(401, "Unauthorized", "Authorization: Bearer is missing.");
  try {
    if (identity && (!takesKeys || algorithmOf(token) === "RS256")) {
      identity.verifyRest(token);
      return;
    }
    const { host } = request.headers;
    const proof = `${token} ${host} ${pathname}${search}`;
    const known = proved.get(proof);
    if (known) {
      checkTimes(known, Date.now() / 1_000);
      return;
    }
    const claims = requireKeyToken(tokens, token, host, pathname, search);
    if (proved.size >= PROVED_AT_MOST) proved.clear();
    proved.set(proof, claims);
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    throw new RestError(401, "Unauthorized", error.message);
  }
}

/** The claims of a token of an access key that names this URL. Throws TokenError. */
function requireKeyToken(
  tokens: Tokens,
  token: string,
  host: string | undefined,
  pathname: string,
  search: string,
): Claims {
  const claims = tokens.verify(token);
  // Letter case doesn't count in the URL, as a hub's name may be written in any.
  const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();
  const names = (aud: URL, path: string, query: string) =>
    same(aud.pathname, path) && (aud.search === "" || same(aud.search, query));
  const isThis = (aud: URL) => {
    if (names(aud, pathname, search)) return true;
    const here = new URL(pathname + search, aud);
    return names(aud, here.pathname, here.search);
  };
  if (!audienceMatches(claims, host, isThis))
    throw new TokenError("The token's aud is not the URL of this request.");
  return claims;
}
