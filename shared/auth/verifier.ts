import { createSecretKey, type KeyObject } from "node:crypto";
import { decodeProtectedHeader, errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from "jose";
import { ChatError } from "../platform/errors.js";
import { visibleName } from "../platform/invisible.js";
import { type KeyHint, type KeySetOptions, remoteKeys, type WithKeys } from "./keySet.js";

/** Who a client is, as its JWT says. */
export interface Identity {
  readonly userId: number;
  readonly nickname?: string;
  readonly picture?: string;
  /** Seconds since 1970: `exp`, or, of a token that is past it by less than the tolerance, the end of that. */
  readonly expiresAt: number;
}

/** Verifies a JWT; throws `UNAUTHORIZED` for whatever is wrong with it, `UNAVAILABLE` when the keys can't be fetched. */
export type VerifyToken = (token: string | undefined) => Promise<Identity>;

/** Verifies the JWT of a service that acts for others; throws as `VerifyToken` does, and `FORBIDDEN` where its claim `scope` has not what is needed. */
export type VerifyTrusted = (token: string | undefined) => Promise<void>;

/** Verifies the `Authorization` header of a service that calls us; throws as `VerifyToken` does. */
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

/** By how many seconds our clock and an issuer's may differ. */
export const CLOCK_TOLERANCE_S = 30;

const TOKEN_CHARACTERS = 8_192;
const NICKNAME_CHARACTERS = 100;
const PICTURE_CHARACTERS = 2_048;
/** The year 9999; what is later is in milliseconds, or no number that anything can be done with. */
const LAST_EXP_S = 253_402_300_799;

/**
 * A verifier for the configured keys. An algorithm is accepted only if a key of its kind is configured: a token can't pick
 * HS256 against a public key (RFC 8725 section 3.1). The secret is for local use: with a key server it does not count.
 */
export function createVerifier(settings: AuthSettings, options: VerifierOptions = {}): VerifyToken {
  const { now = Date.now } = options;
  const verify = jwtVerifier(settings, keysOf(settings, options), now);
  return async (token) => {
    if (!token)
      throw new ChatError("UNAUTHORIZED", "A JWT is needed: header Authorization: Bearer …, or query token.");
    return identityOf(await verify(token), now());
  };
}

/** In the claim `scope`, a list with spaces between (RFC 8693 section 4.2): may do what concerns other users. */
const ADMIN_SCOPE = "chat.admin";

/** A verifier of trusted services' tokens, from the same issuer and keys as users'. What `sub` they have says nothing. */
export function createTrustedVerifier(settings: AuthSettings, options: VerifierOptions = {}): VerifyTrusted {
  const verify = jwtVerifier(settings, keysOf(settings, options), options.now ?? Date.now);
  return async (token) => {
    if (!token) throw new ChatError("UNAUTHORIZED", "A JWT is needed: header Authorization: Bearer ….");
    const { scope } = await verify(token);
    if (typeof scope !== "string" || !scope.split(" ").includes(ADMIN_SCOPE))
      throw new ChatError("FORBIDDEN", `The token's claim "scope" has no ${ADMIN_SCOPE}.`);
  };
}

/** A verifier of the calls that a service makes with its managed identity; another identity of the same directory gets tokens for us, too, so `oid` counts. */
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

/** Checks what all tokens have in common: form, signature, issuer, audience and times. */
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

/** What a token says, if one of these keys has signed it; nothing if none has. Throws when it is signed and wrong otherwise. */
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

/** Before any key is looked for. Keys that a token brings along (`jwk`, `jku`, `x5u`, `x5c`) are never looked at. */
function checkForm(token: string, algorithms: readonly string[]): KeyHint {
  if (token.length > TOKEN_CHARACTERS)
    throw new ChatError("UNAUTHORIZED", `The token is longer than ${TOKEN_CHARACTERS} characters.`);
  // RFC 7515 section 7.1, and nothing else: decoders forgive white space, padding and the other alphabet.
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) throw new ChatError("UNAUTHORIZED", "The token is not a JWT.");
  const header = decodeProtectedHeader(token);
  const { alg = "", kid } = header;
  if (!algorithms.includes(alg))
    throw new ChatError("UNAUTHORIZED", "The token's algorithm is not accepted here.");
  // RFC 7515 section 4.1.11: an extension that isn't understood, and none is, makes the token invalid.
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
  // A number, or a list of one, would pass for its digits.
  const userId = typeof sub === "string" && /^[1-9]\d{0,15}$/.test(sub) ? Number(sub) : Number.NaN;
  if (!Number.isSafeInteger(userId))
    throw new ChatError("UNAUTHORIZED", 'The token\'s claim "sub" is not a user id.');
  const expiresAt = Math.floor(exp as number);
  // JSON has no Infinity, but 1e999 is read as that.
  if (!(expiresAt <= LAST_EXP_S))
    throw new ChatError("UNAUTHORIZED", 'The token\'s claim "exp" is not in seconds since 1970.');
  const claim = payload["nickname"];
  const nickname = typeof claim === "string" ? visibleName(claim, NICKNAME_CHARACTERS) : undefined;
  const picture = pictureOf(payload["picture"]);
  return {
    userId,
    expiresAt: expiresAt * 1_000 > nowMs ? expiresAt : expiresAt + CLOCK_TOLERANCE_S,
    ...(nickname === undefined ? {} : { nickname }),
    ...(picture === undefined ? {} : { picture }),
  };
}

/** Other people's browsers fetch it: an https URL, in ASCII, or nothing. */
function pictureOf(claim: unknown): string | undefined {
  if (typeof claim !== "string" || claim.length > PICTURE_CHARACTERS || !URL.canParse(claim))
    return undefined;
  const { protocol, href } = new URL(claim);
  return protocol === "https:" && href.length <= PICTURE_CHARACTERS ? href : undefined;
}

/**
 * The token of `Authorization: Bearer …`, or nothing where there is no such header. The scheme's case does not matter (RFC 9110 section 11.1). Throws `UNAUTHORIZED` where the header is
 * there twice, which arrives as one with a comma: which of them counts is not for us to guess.
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
