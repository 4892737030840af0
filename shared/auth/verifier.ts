import { createSecretKey, type KeyObject } from "node:crypto";
import {
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify,
} from "jose";
import { defined } from "../platform/defined.js";
import { ChatError } from "../platform/errors.js";
import { visibleName } from "../platform/invisible.js";
import { type KeySetOptions, remoteKeys, type WithKeys } from "./keySet.js";
import type { KeyHint } from "./publishedKeys.js";

/** A client's identity, as its JWT says. */
export interface Identity {
  readonly userId: number;
  readonly nickname?: string;
  readonly picture?: string;
  /**
   * Seconds since 1970: `exp`, or `exp` with the tolerance if the token is past its `exp` by less than that.
   */
  readonly expiresAt: number;
}

/** Verifies a JWT. Throws `UNAUTHORIZED` for a wrong token, `UNAVAILABLE` when the keys can't be fetched. */
export type VerifyToken = (token: string | undefined) => Promise<Identity>;

/**
 * Verifies the JWT of a service that acts for others. Throws as `VerifyToken` does, and `FORBIDDEN` if the
 * claim `scope` lacks the scope that is needed.
 */
export type VerifyTrusted = (token: string | undefined) => Promise<void>;

/** Verifies the `Authorization` header of a service that calls us. Throws as `VerifyToken` does. */
export type VerifyCaller = (authorization: string | undefined) => Promise<void>;

export interface AuthSettings {
  readonly issuer: string;
  readonly audience: string;
  readonly jwtSecret?: string;
  readonly jwksUri?: string;
}

/** A service's own identity in Entra ID. */
export interface CallerSettings {
  readonly issuer: string;
  readonly audience: string;
  /** Claim `oid`. */
  readonly objectId: string;
  readonly jwksUri: string;
}

export type VerifierOptions = KeySetOptions;

/** The number of seconds by which our clock and an issuer's may differ. */
export const CLOCK_TOLERANCE_S = 30;

const TOKEN_CHARACTERS = 8_192;
const NICKNAME_CHARACTERS = 100;
const PICTURE_CHARACTERS = 2_048;
/** The end of the year 9999. A later `exp` is in milliseconds, or no usable number. */
const LAST_EXP_S = 253_402_300_799;

/**
 * A word of the claim `scope`, a list separated by spaces (RFC 8693 section 4.2). It allows calls for other
 * users.
 */
const ADMIN_SCOPE = "chat.admin";

export interface Verifiers {
  readonly verifyToken: VerifyToken;
  /**
   * For tokens of trusted services, from the same issuer as users'. The verifier ignores their claim `sub`.
   */
  readonly verifyTrusted: VerifyTrusted;
}

/**
 * Verifiers for the configured keys, which the verifiers share. An algorithm is accepted only if a key of its
 * kind is configured: a token can't pick HS256 against a public key (RFC 8725 section 3.1). The secret is for
 * local use, and does not count if a key server is configured.
 */
export function createVerifiers(settings: AuthSettings, options: VerifierOptions = {}): Verifiers {
  const { now = Date.now } = options;
  const verify = jwtVerifier(settings, keysOf(settings, options), now);
  return {
    async verifyToken(token) {
      if (!token)
        throw new ChatError(
          "UNAUTHORIZED",
          "A JWT is needed: header Authorization: Bearer …, or query token.",
        );
      return identityOf(await verify(token), now());
    },
    async verifyTrusted(token) {
      if (!token) throw new ChatError("UNAUTHORIZED", "A JWT is needed: header Authorization: Bearer ….");
      const { scope } = await verify(token);
      if (typeof scope !== "string" || !scope.split(" ").includes(ADMIN_SCOPE))
        throw new ChatError("FORBIDDEN", `The token's claim "scope" has no ${ADMIN_SCOPE}.`);
    },
  };
}

/**
 * A verifier of the calls that a service makes with its managed identity. Other identities of the same
 * directory get tokens for us, too, so `oid` must match.
 */
export function createCallerVerifier(settings: CallerSettings, options: VerifierOptions = {}): VerifyCaller {
  const keys = { algorithms: ["RS256"], withKeys: remoteKeys(settings.jwksUri, options) };
  const verify = jwtVerifier(settings, keys, options.now ?? Date.now);
  return async (authorization) => {
    const token = bearerToken(authorization);
    if (!token) throw new ChatError("UNAUTHORIZED", "The service's token is missing.");
    const { oid } = await verify(token);
    if (oid !== settings.objectId)
      throw new ChatError("UNAUTHORIZED", 'The token\'s claim "oid" is missing or wrong.');
  };
}

/** The claims by which a refused token is told apart in a log, each cut. Nobody has checked them. */
export type UncheckedClaims = Readonly<Partial<Record<"iss" | "aud" | "oid" | "exp", string>>>;

const CLAIM_CHARACTERS = 200;

/**
 * What the token of a header says of itself, or nothing where there is none: for the operator, who else can't
 * know why the socket service is refused. Never the token.
 */
export function uncheckedClaims(authorization: string | undefined): UncheckedClaims | undefined {
  try {
    const { iss, aud, oid, exp } = decodeJwt<{ oid?: unknown }>(bearerToken(authorization) ?? "");
    const text = (claim: unknown) =>
      claim === undefined ? undefined : String(claim).slice(0, CLAIM_CHARACTERS);
    return defined({ iss: text(iss), aud: text(aud), oid: text(oid), exp: text(exp) });
  } catch {
    return undefined;
  }
}

interface Keys {
  readonly algorithms: string[];
  readonly withKeys: WithKeys;
}

function keysOf({ jwtSecret, jwksUri }: AuthSettings, options: VerifierOptions): Keys {
  if (jwksUri !== undefined)
    return { algorithms: ["RS256", "ES256", "EdDSA", "Ed25519"], withKeys: remoteKeys(jwksUri, options) };
  if (!jwtSecret)
    throw new Error("Neither the URI of a key set nor a secret is given to verify tokens with.");
  const secret = createSecretKey(Buffer.from(jwtSecret));
  return { algorithms: ["HS256"], withKeys: (_hint, attempt) => attempt([secret]) };
}

/** Makes the checks that all tokens have in common: form, signature, issuer, audience and times. */
function jwtVerifier(
  { issuer, audience }: Pick<AuthSettings, "issuer" | "audience">,
  { algorithms, withKeys }: Keys,
  now: () => number,
): (token: string) => Promise<JWTPayload> {
  const checks = { issuer, audience, algorithms, clockTolerance: CLOCK_TOLERANCE_S };
  return async (token) => {
    try {
      const hint = checkForm(token, algorithms);
      const options = { ...checks, requiredClaims: ["exp"], currentDate: new Date(now()) };
      const payload = await withKeys(hint, (keys) => payloadOf(token, keys, options));
      if (!payload) throw new ChatError("UNAUTHORIZED", "The token is signed with no key that counts here.");
      return payload;
    } catch (error) {
      throw refusal(error);
    }
  };
}

/**
 * The claims of a token that one of these keys has signed, or nothing if none has. Throws when the token is
 * signed but wrong in another way.
 */
async function payloadOf(
  token: string,
  keys: readonly KeyObject[],
  options: JWTVerifyOptions,
): Promise<JWTPayload | undefined> {
  for (const key of keys) {
    try {
      return (await jwtVerify(token, key, options)).payload;
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    }
  }
  return undefined;
}

/**
 * Checks a token's form before any key is looked for. Keys that a token brings along (`jwk`, `jku`, `x5u`,
 * `x5c`) are never looked at.
 */
function checkForm(token: string, algorithms: readonly string[]): KeyHint {
  if (token.length > TOKEN_CHARACTERS)
    throw new ChatError("UNAUTHORIZED", `The token is longer than ${TOKEN_CHARACTERS} characters.`);
  // The form of RFC 7515 section 7.1 and no other: decoders forgive white space, padding and the other
  // alphabet.
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) throw new ChatError("UNAUTHORIZED", "The token is not a JWT.");
  const header = decodeProtectedHeader(token);
  const { alg = "", kid } = header;
  if (!algorithms.includes(alg))
    throw new ChatError("UNAUTHORIZED", "The token's algorithm is not accepted here.");
  // RFC 7515 section 4.1.11: an extension that isn't understood makes the token invalid. None is understood
  // here.
  if ("crit" in header || "b64" in header)
    throw new ChatError("UNAUTHORIZED", "The token needs an extension that is not accepted here.");
  return { alg, kid: typeof kid === "string" ? kid : undefined };
}

function refusal(error: unknown): ChatError {
  if (error instanceof ChatError) return error;
  if (error instanceof errors.JWTExpired) return new ChatError("UNAUTHORIZED", "The token has expired.");
  if (error instanceof errors.JWTClaimValidationFailed)
    return new ChatError("UNAUTHORIZED", `The token's claim "${error.claim}" is missing or wrong.`);
  return new ChatError("UNAUTHORIZED", "The token is not valid.", { cause: error });
}

function identityOf(payload: JWTPayload, nowMs: number): Identity {
  const { sub, exp } = payload;
  // A `sub` that is a number, or a list of one number, would pass for its digits.
  const userId = typeof sub === "string" && /^[1-9]\d{0,15}$/.test(sub) ? Number(sub) : Number.NaN;
  if (!Number.isSafeInteger(userId))
    throw new ChatError("UNAUTHORIZED", 'The token\'s claim "sub" is not a user id.');
  const expiresAt = Math.floor(exp as number);
  // JSON has no Infinity, but 1e999 is read as Infinity.
  if (!(expiresAt <= LAST_EXP_S))
    throw new ChatError("UNAUTHORIZED", 'The token\'s claim "exp" is not in seconds since 1970.');
  const claim = payload["nickname"];
  const nickname = typeof claim === "string" ? visibleName(claim, NICKNAME_CHARACTERS) : undefined;
  const picture = pictureOf(payload["picture"]);
  return {
    userId,
    expiresAt: expiresAt * 1_000 > nowMs ? expiresAt : expiresAt + CLOCK_TOLERANCE_S,
    ...defined({ nickname, picture }),
  };
}

/** The picture as an https URL in ASCII, or nothing. Other people's browsers fetch it. */
function pictureOf(claim: unknown): string | undefined {
  if (typeof claim !== "string" || claim.length > PICTURE_CHARACTERS || !URL.canParse(claim))
    return undefined;
  const { protocol, href } = new URL(claim);
  return protocol === "https:" && href.length <= PICTURE_CHARACTERS ? href : undefined;
}

/**
 * The token of `Authorization: Bearer …`, or nothing without such a header. The scheme's case does not matter
 * (RFC 9110 section 11.1). Throws `UNAUTHORIZED` if the header was sent twice, which arrives as one header
 * with a comma: we don't guess which of the two counts.
 */
export function bearerToken(authorization: string | null | undefined): string | undefined {
  const header = authorization ?? "";
  if (/^Bearer [^,]*,/i.test(header))
    throw new ChatError(
      "UNAUTHORIZED",
      "Authorization was sent more than once; send one, Bearer and a token.",
    );
  return /^Bearer +(\S+) *$/i.exec(header)?.[1];
}
