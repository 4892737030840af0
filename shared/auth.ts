import { createSecretKey } from "node:crypto";
import {
  createRemoteJWKSet,
  customFetch,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from "jose";
import { ChatError } from "./errors.js";

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

export interface VerifierOptions {
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Hears why keys could not be fetched; the old ones may still serve. */
  readonly onError?: (error: unknown) => void;
}

/** By how many seconds our clock and an issuer's may differ. */
export const CLOCK_TOLERANCE_S = 30;

const TOKEN_CHARACTERS = 8_192;
const NICKNAME_CHARACTERS = 100;
const PICTURE_CHARACTERS = 2_048;
/** The year 9999; what is later is in milliseconds, or no number that anything can be done with. */
const LAST_EXP_S = 253_402_300_799;

/** Keys older than this are fetched anew, beside the work. */
const FRESH_MS = 10 * 60_000;
/** Keys older than this are not trusted any more, when the key server has been away for so at. */
const TRUSTED_MS = 60 * 60_000;
const UNKNOWN_KID_MS = 30_000;
const FAILED_MS = 2_000;
const FETCH_MS = 5_000;
const KEY_SET_BYTES = 256 * 1024;

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
  const keys = { algorithms: ["RS256"], key: remoteKeys(settings.jwksUri, options) };
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
  readonly key: JWTVerifyGetKey;
}

function keysOf({ jwtSecret, jwksUri }: AuthSettings, options: VerifierOptions): Keys {
  if (jwksUri !== undefined)
    return { algorithms: ["RS256", "ES256", "EdDSA"], key: remoteKeys(jwksUri, options) };
  if (!jwtSecret)
    throw new Error("Neither the URI of a key set nor a secret is given to verify tokens with.");
  const secret = createSecretKey(Buffer.from(jwtSecret));
  return { algorithms: ["HS256"], key: async () => secret };
}

/** Checks what all tokens have in common: form, signature, issuer, audience and times. */
function jwtVerifier(
  { issuer, audience }: Pick<AuthSettings, "issuer" | "audience">,
  { algorithms, key }: Keys,
  now: () => number,
): (token: string) => Promise<JWTPayload> {
  const checks = { issuer, audience, algorithms, clockTolerance: CLOCK_TOLERANCE_S };
  return async (token) => {
    try {
      checkForm(token, algorithms);
      const options = { ...checks, requiredClaims: ["exp"], currentDate: new Date(now()) };
      return (await jwtVerify(token, key, options)).payload;
    } catch (error) {
      throw refusal(error);
    }
  };
}

/** Before any key is looked for. Keys that a token brings along (`jwk`, `jku`, `x5u`, `x5c`) are never looked at. */
function checkForm(token: string, algorithms: readonly string[]): void {
  if (token.length > TOKEN_CHARACTERS)
    throw new ChatError("UNAUTHORIZED", `The token is longer than ${TOKEN_CHARACTERS} characters.`);
  // RFC 7515 section 7.1, and nothing else: decoders forgive white space, padding and the other alphabet.
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) throw new ChatError("UNAUTHORIZED", "The token is not a JWT.");
  const header = decodeProtectedHeader(token);
  if (!algorithms.includes(header.alg ?? ""))
    throw new ChatError("UNAUTHORIZED", "The token's algorithm is not accepted here.");
  // RFC 7515 section 4.1.11: an extension that isn't understood, and none is, makes the token invalid.
  if ("crit" in header || "b64" in header)
    throw new ChatError("UNAUTHORIZED", "The token needs an extension that is not accepted here.");
}

function refusal(error: unknown): ChatError {
  if (error instanceof ChatError) return error;
  if (error instanceof errors.JWTExpired) return new ChatError("UNAUTHORIZED", "The token has expired.");
  if (error instanceof errors.JWTClaimValidationFailed)
    return new ChatError("UNAUTHORIZED", `The token's claim "${error.claim}" is missing or wrong.`);
  return new ChatError("UNAUTHORIZED", "The token is not valid.", { cause: error });
}

/**
 * The keys at a URL, fetched when first needed and then kept: refreshed beside the work, and kept for a while when that fails.
 * A key id that isn't among them may be that of a new key, so they are fetched for it, but not again within half a minute: whoever makes
 * up key ids costs no more than that. A fetch for another reason doesn't count, so that keys which change right after one are found
 * at once; only those that change while somebody makes up ids wait, for half a minute at most.
 */
function remoteKeys(uri: string, { now = Date.now, onError = () => {} }: VerifierOptions): JWTVerifyGetKey {
  // It only fetches, decodes and picks: when to fetch is decided below.
  const set = createRemoteJWKSet(new URL(uri), {
    timeoutDuration: FETCH_MS,
    cacheMaxAge: Number.POSITIVE_INFINITY,
    cooldownDuration: Number.POSITIVE_INFINITY,
    [customFetch]: fetchKeySet,
  });
  const at = {
    fetched: Number.NEGATIVE_INFINITY,
    failed: Number.NEGATIVE_INFINITY,
    asked: Number.NEGATIVE_INFINITY,
  };
  let fetching: Promise<void> | undefined;
  // A clock that was set back must not stretch a wait.
  const within = (since: number, ms: number): boolean => now() >= since && now() - since < ms;

  const succeeded = (): void => {
    at.fetched = now();
  };
  const failed = (cause: unknown): never => {
    at.failed = now();
    at.asked = Number.NEGATIVE_INFINITY;
    onError(cause);
    throw notFetched(cause);
  };
  /** One fetch at a time, which all who need it share. */
  const load = async (): Promise<void> => {
    if (!fetching && within(at.failed, FAILED_MS)) throw notFetched(undefined);
    fetching ??= set
      .reload()
      .then(succeeded, failed)
      .finally(() => {
        fetching = undefined;
      });
    await fetching;
  };

  return async (header, token) => {
    const isNew = !within(at.fetched, TRUSTED_MS);
    if (isNew) await load();
    else if (!within(at.fetched, FRESH_MS)) load().catch(() => {});
    try {
      return await set(header, token);
    } catch (error) {
      const canHelp = !isNew && (fetching || !within(at.asked, UNKNOWN_KID_MS));
      if (!(error instanceof errors.JWKSNoMatchingKey) || !canHelp) throw error;
    }
    at.asked = now();
    await load();
    return set(header, token);
  };
}

const notFetched = (cause: unknown): ChatError =>
  new ChatError("UNAVAILABLE", "The identity provider's keys can't be fetched; try again.", { cause });

/** `fetch` for a key set that is neither endless nor empty: one without keys would lock everybody out. */
async function fetchKeySet(url: string, options: RequestInit): Promise<Response> {
  const response = await fetch(url, options);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > KEY_SET_BYTES) throw new Error(`The key set has more than ${KEY_SET_BYTES} bytes.`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString();
  if (response.status !== 200) throw new Error(`The key server answered ${response.status}.`);
  const { keys } = JSON.parse(text) as { keys?: unknown };
  if (!Array.isArray(keys) || keys.length === 0) throw new Error("The key server's answer has no keys.");
  return new Response(text);
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
  const nickname = nicknameOf(payload["nickname"]);
  const picture = pictureOf(payload["picture"]);
  return {
    userId,
    expiresAt: expiresAt * 1_000 > nowMs ? expiresAt : expiresAt + CLOCK_TOLERANCE_S,
    ...(nickname === undefined ? {} : { nickname }),
    ...(picture === undefined ? {} : { picture }),
  };
}

/** As well-formed text in NFC without control characters, cut to its length, or nothing. */
function nicknameOf(claim: unknown): string | undefined {
  if (typeof claim !== "string") return undefined;
  const text = claim
    .toWellFormed()
    .normalize("NFC")
    .replace(/\p{Cc}/gu, "");
  return text.trim() === "" ? undefined : [...text].slice(0, NICKNAME_CHARACTERS).join("");
}

/** Other people's browsers fetch it: an https URL, in ASCII, or nothing. */
function pictureOf(claim: unknown): string | undefined {
  if (typeof claim !== "string" || claim.length > PICTURE_CHARACTERS || !URL.canParse(claim))
    return undefined;
  const { protocol, href } = new URL(claim);
  return protocol === "https:" && href.length <= PICTURE_CHARACTERS ? href : undefined;
}

/** The token of `Authorization: Bearer …`, or nothing. The scheme's case does not matter (RFC 9110 section 11.1). */
export function bearerToken(authorization: string | null | undefined): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
}
