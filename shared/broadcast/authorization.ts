import { createHmac, type KeyObject } from "node:crypto";
import type { TokenCredential } from "@azure/identity";

/** What proves calls. */
export interface Authorization {
  /** What the header `Authorization` says for a call to this URL. */
  header(url: string): string | Promise<string>;
  /** The same for a URL that is not called again: nothing is kept for it. */
  headerOnce(url: string): string | Promise<string>;
  /** The service didn't take the last one. */
  forget(url: string): void;
}

/** A token of the SDK holds for an hour. */
const TOKEN_SECONDS = 3_600;
/** So long one is used again; what is left is for clocks that differ. */
const SIGNED_AGAIN_MS = 1_800_000;
const TOKENS_AT_MOST = 5_000;

/** Tokens by an access key, as the SDK signs them: for one URL each (`aud`), so each group has its own for a while. */
export function authorizationByKey(key: KeyObject, now: () => number = Date.now): Authorization {
  const tokens = new Map<string, { readonly header: string; readonly signedAt: number }>();
  const headerOnce = (url: string): string => `Bearer ${signed(url, key, now())}`;
  return {
    headerOnce,
    header(url) {
      const known = tokens.get(url);
      const age = known ? now() - known.signedAt : -1;
      // A clock that was set back makes it look too young.
      if (known && age >= 0 && age < SIGNED_AGAIN_MS) return known.header;
      const header = headerOnce(url);
      tokens.delete(url);
      tokens.set(url, { header, signedAt: now() });
      const [oldest] = tokens.keys();
      if (tokens.size > TOKENS_AT_MOST) tokens.delete(oldest!);
      return header;
    },
    forget: (url) => void tokens.delete(url),
  };
}

const HEADER = Buffer.from(JSON.stringify({ alg: "HS256", typ: "JWT" })).toString("base64url");

/** RFC 7515, section 3.1, with HS256. */
function signed(audience: string, key: KeyObject, now: number): string {
  const issued = Math.floor(now / 1_000);
  const claims = JSON.stringify({ iat: issued, exp: issued + TOKEN_SECONDS, aud: audience });
  const content = `${HEADER}.${Buffer.from(claims).toString("base64url")}`;
  return `${content}.${createHmac("sha256", key).update(content).digest("base64url")}`;
}

/** The scope of the service's REST API, as the SDK has it. */
const SCOPE = "https://webpubsub.azure.com/.default";
/** With less time left than this a token is asked for anew. */
const RENEWED_MS = 300_000;

/** Tokens of an identity in Entra ID: one for all calls, until five minutes before its end. */
export function authorizationByIdentity(
  credential: TokenCredential,
  now: () => number = Date.now,
): Authorization {
  let known: { readonly header: string; readonly endsAt: number } | undefined;
  let asking: Promise<string> | undefined;
  const ask = async (): Promise<string> => {
    try {
      const token = await credential.getToken(SCOPE);
      if (!token) throw new Error(`The identity has no token for ${SCOPE}.`);
      known = { header: `Bearer ${token.token}`, endsAt: token.expiresOnTimestamp };
      return known.header;
    } finally {
      asking = undefined;
    }
  };
  const header = (): string | Promise<string> => {
    if (known && known.endsAt - now() > RENEWED_MS) return known.header;
    asking ??= ask();
    return asking;
  };
  return {
    header,
    headerOnce: header,
    forget: () => {
      known = undefined;
    },
  };
}
