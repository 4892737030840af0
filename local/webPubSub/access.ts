import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Config } from "./config.js";
import { type Proof, signatures } from "./events.js";
import { Identity } from "./identity.js";
import { RestError } from "./restCall.js";
import { algorithmOf, audienceMatches, TokenError, Tokens } from "./tokens.js";

/** By what callers prove who they are, and this server proves who it is. */
export interface Access {
  /** Signs and verifies by the access keys; without them, by a key that nobody else has. */
  readonly tokens: Tokens;
  readonly takesKeys: boolean;
  readonly identity: Identity | undefined;
  readonly proofs: readonly Proof[];
}

/** The access that a configuration describes. */
export function accessBy({ accessKeys, managedIdentity, disableLocalAuth }: Config): Access {
  const takesKeys = !disableLocalAuth;
  const identity = managedIdentity && new Identity(managedIdentity);
  const proofs: Proof[] = takesKeys ? [signatures(accessKeys)] : [];
  // The same for all connections, but not for ever.
  if (identity) proofs.push(() => () => ["Authorization", `Bearer ${identity.upstreamToken()}`]);
  const tokens = new Tokens(takesKeys ? accessKeys : [randomBytes(32).toString("base64")]);
  return { tokens, takesKeys, identity, proofs };
}

/** Lets a REST call in by a token of an access key, which must name this very URL (with or without its query), or by an Entra token; throws RestError. */
export function authenticate(
  { tokens, takesKeys, identity }: Access,
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
    // Case doesn't count anywhere in it, as a hub's name may be written in any.
    const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();
    const names = (aud: URL, path: string, query: string) =>
      same(aud.pathname, path) && (aud.search === "" || same(aud.search, query));
    const isThis = (aud: URL) => {
      if (names(aud, pathname, search)) return true;
      const here = new URL(pathname + search, aud);
      return names(aud, here.pathname, here.search);
    };
    if (audienceMatches(tokens.verify(token), request.headers.host, isThis)) return;
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    throw new RestError(401, "Unauthorized", error.message);
  }
  throw new RestError(401, "Unauthorized", "The token's aud is not the URL of this request.");
}
