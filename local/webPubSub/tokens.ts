import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import { isLoopback } from "./hosts.js";

export type Claims = Record<string, unknown>;

/** The token can't be accepted. The message is meant for the caller. */
export class TokenError extends Error {}

const HEADER = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString("base64url");

/**
 * Signs and verifies HS256 tokens (RFC 7515, RFC 7519) with the raw access key strings; the first key signs.
 */
export class Tokens {
  readonly #keys: readonly KeyObject[];

  constructor(accessKeys: readonly string[]) {
    this.#keys = accessKeys.map((key) => createSecretKey(Buffer.from(key)));
  }

  /** A token with these claims, signed with the primary key. */
  sign(claims: Claims): string {
    const signed = `${HEADER}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}`;
    return `${signed}.${hmac(this.#keys[0]!, signed).toString("base64url")}`;
  }

  /** The claims of a token that one of the keys signed and that is valid now. Throws TokenError. */
  verify(token: string, nowMs = Date.now()): Claims {
    const { head, payload, signature: given } = splitToken(token);
    if (head !== HEADER && parseObject(head)["alg"] !== "HS256") {
      throw new TokenError("The token's algorithm must be HS256.");
    }
    const signed = `${head}.${payload}`;
    if (!this.#keys.some((key) => equal(hmac(key, signed), given))) {
      throw new TokenError("The token's signature does not belong to one of this service's access keys.");
    }
    const claims = parseObject(payload);
    checkTimes(claims, nowMs / 1000);
    return claims;
  }
}

/**
 * True when `aud` names this request. Host and port are not compared literally: one client may say localhost
 * and another 127.0.0.1 for the same server. So any loopback name passes, and any name that the request's
 * Host has.
 */
export function audienceMatches(
  claims: Claims,
  host: string | undefined,
  accepts: (aud: URL) => boolean,
): boolean {
  const audiences = Array.isArray(claims["aud"]) ? claims["aud"] : [claims["aud"]];
  return audiences.some((aud) => {
    if (typeof aud !== "string" || !URL.canParse(aud)) return false;
    const url = new URL(aud);
    if (!/^(https?|wss?):$/.test(url.protocol)) return false;
    return (isLoopback(url.hostname) || url.host === host?.toLowerCase()) && accepts(url);
  });
}

function hmac(key: KeyObject, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function equal(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** The parts of a JWT, the first two still encoded. Throws TokenError. */
export function splitToken(token: string): { head: string; payload: string; signature: Buffer } {
  const parts = token.split(".");
  if (parts.length !== 3) throw new TokenError("The token is not a JWT.");
  const [head, payload, signature] = parts as [string, string, string];
  return { head, payload, signature: Buffer.from(signature, "base64url") };
}

/** The algorithm that a JWT names. Throws TokenError. */
export function algorithmOf(token: string): unknown {
  return parseObject(splitToken(token).head)["alg"];
}

/** A decoded part of a JWT. Throws TokenError. */
export function parseObject(part: string): Claims {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(part, "base64url").toString());
  } catch {
    throw new TokenError("The token is not a JWT.");
  }
  if (typeof value !== "object" || value === null) throw new TokenError("The token is not a JWT.");
  return value as Claims;
}

/** Throws TokenError unless `exp` is in the future and `nbf` is not. */
export function checkTimes(claims: Claims, nowSeconds: number): void {
  const { exp, nbf } = claims;
  if (typeof exp !== "number") throw new TokenError("The token has no exp.");
  if (exp <= nowSeconds) throw new TokenError("The token has expired.");
  if (nbf !== undefined && !(typeof nbf === "number" && nbf <= nowSeconds + 60)) {
    throw new TokenError("The token is not valid yet.");
  }
}
