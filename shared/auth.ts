import { createSecretKey } from "node:crypto";
import { createRemoteJWKSet, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from "jose";
import { ChatError } from "./errors.js";

/** Who a client is, as its JWT says. */
export interface Identity {
  readonly userId: number;
  readonly nickname?: string;
  readonly picture?: string;
  /** Seconds since 1970, from `exp`. */
  readonly expiresAt: number;
}

/** Verifies a JWT; throws `UNAUTHORIZED` for whatever is wrong with it, `UNAVAILABLE` when the keys can't be fetched. */
export type VerifyToken = (token: string | undefined) => Promise<Identity>;

export interface AuthSettings {
  readonly issuer: string;
  readonly audience: string;
  readonly jwtSecret?: string;
  readonly jwksUri?: string;
}

const NICKNAME_CHARACTERS = 100;
const PICTURE_CHARACTERS = 2048;

/**
 * A verifier for the configured keys. An algorithm is accepted only if a key of its kind is configured: a
 * token can't pick HS256 against a public key (RFC 8725 section 3.1).
 */
export function createVerifier(settings: AuthSettings): VerifyToken {
  const { jwtSecret, jwksUri } = settings;
  const secret = jwtSecret === undefined ? undefined : createSecretKey(Buffer.from(jwtSecret));
  const jwks =
    jwksUri === undefined ? undefined : createRemoteJWKSet(new URL(jwksUri), { timeoutDuration: 5_000 });
  const checks = { issuer: settings.issuer, audience: settings.audience, requiredClaims: ["exp", "sub"] };
  return async (token) => {
    if (!token)
      throw new ChatError("UNAUTHORIZED", "A JWT is needed: header Authorization: Bearer …, or query token.");
    try {
      const symmetric = decodeProtectedHeader(token).alg === "HS256";
      if (symmetric && secret)
        return identityOf((await jwtVerify(token, secret, { ...checks, algorithms: ["HS256"] })).payload);
      if (!symmetric && jwks) {
        const algorithms = ["RS256", "ES256", "EdDSA"];
        return identityOf((await jwtVerify(token, jwks, { ...checks, algorithms })).payload);
      }
    } catch (error) {
      throw refusal(error);
    }
    throw new ChatError("UNAUTHORIZED", "The token's algorithm is not accepted here.");
  };
}

function refusal(error: unknown): ChatError {
  if (error instanceof ChatError) return error;
  if (error instanceof errors.JWTExpired) return new ChatError("UNAUTHORIZED", "The token has expired.");
  if (error instanceof errors.JWTClaimValidationFailed)
    return new ChatError("UNAUTHORIZED", `The token's claim "${error.claim}" is missing or wrong.`);
  const notFetched = isOfKeyServer(error) || !(error instanceof errors.JOSEError);
  // decodeProtectedHeader throws a TypeError for what isn't a JWT at all.
  if (notFetched && !(error instanceof TypeError && /token/i.test(error.message)))
    return new ChatError("UNAVAILABLE", "The identity provider's keys can't be fetched; try again.", {
      cause: error,
    });
  return new ChatError("UNAUTHORIZED", "The token is not valid.", { cause: error });
}

/** The key server is late, or answered with another status than 200, or with what is no key set: the token may be as good as any. */
function isOfKeyServer(error: unknown): boolean {
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) return true;
  return error instanceof errors.JOSEError && error.code === "ERR_JOSE_GENERIC";
}

function identityOf(payload: JWTPayload): Identity {
  const { sub } = payload;
  // A number, or a list of one, would pass for its digits.
  const userId = typeof sub === "string" && /^[1-9]\d{0,15}$/.test(sub) ? Number(sub) : Number.NaN;
  if (!Number.isSafeInteger(userId))
    throw new ChatError("UNAUTHORIZED", 'The token\'s claim "sub" is not a user id.');
  const nickname = text(payload["nickname"], NICKNAME_CHARACTERS);
  const picture = text(payload["picture"], PICTURE_CHARACTERS);
  return {
    userId,
    expiresAt: payload.exp as number,
    ...(nickname === undefined ? {} : { nickname }),
    ...(picture === undefined ? {} : { picture }),
  };
}

/** A claim as well-formed text of at most so many characters, or nothing. */
function text(claim: unknown, characters: number): string | undefined {
  if (typeof claim !== "string" || claim.trim() === "") return undefined;
  return [...claim.toWellFormed()].slice(0, characters).join("");
}

/** The token of `Authorization: Bearer …`, or nothing. The scheme's case does not matter (RFC 9110 section 11.1). */
export function bearerToken(authorization: string | null | undefined): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
}
