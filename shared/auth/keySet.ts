import { createPublicKey, type JsonWebKey, type KeyObject, X509Certificate } from "node:crypto";
import { z } from "zod";
import { ChatError } from "../platform/errors.js";

/** The parameters of a token's header that point to its key. */
export interface KeyHint {
  readonly alg: string;
  readonly kid?: string | undefined;
}

/**
 * Tries a token with the keys that may have signed it. `attempt` gets the keys in the order in which it tries
 * them, and answers nothing if none of them has signed the token. If a new key may have signed it, the keys
 * are fetched again and `attempt` is called with them.
 */
export type WithKeys = <T>(
  hint: KeyHint,
  attempt: (keys: readonly KeyObject[]) => Promise<T | undefined>,
) => Promise<T | undefined>;

export interface KeySetOptions {
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Called with the reason why keys could not be fetched. The old keys may still serve. */
  readonly onError?: (error: unknown) => void;
}

/** Keys older than this are fetched again in the background. */
const FRESH_MS = 10 * 60_000;
/** If the key server has been unreachable for this long, cached keys are no longer trusted. */
const TRUSTED_MS = 60 * 60_000;
const UNKNOWN_KEY_MS = 30_000;
const FAILED_MS = 2_000;
const FETCH_MS = 5_000;
const KEY_SET_BYTES = 256 * 1024;
/** A token that names no key is tried with at most this many keys. */
const KEYS_TRIED = 16;
const RSA_BITS = 2_048;

/**
 * The keys at a URL. They are fetched when first needed, and then kept. They are refreshed in the background,
 * and kept for a while when that fails. A token that none of the keys has signed, and that names none of
 * them, may be signed with a new key. The keys are fetched for it, but at most once in half a minute: an
 * attacker who makes up key ids causes no more fetches than that. A fetch for another reason doesn't count,
 * so keys that change right after such a fetch are found at once. Only keys that change while somebody makes
 * up ids are found late, by half a minute at most.
 */
export function remoteKeys(uri: string, { now = Date.now, onError = () => {} }: KeySetOptions): WithKeys {
  let published: readonly PublishedKey[] = [];
  const at = {
    fetched: Number.NEGATIVE_INFINITY,
    failed: Number.NEGATIVE_INFINITY,
    asked: Number.NEGATIVE_INFINITY,
  };
  let fetching: Promise<void> | undefined;
  // A clock that was set back must not stretch a wait.
  const within = (since: number, ms: number): boolean => now() >= since && now() - since < ms;

  const succeeded = (keys: readonly PublishedKey[]): void => {
    published = keys;
    at.fetched = now();
  };
  const failed = (cause: unknown): never => {
    at.failed = now();
    at.asked = Number.NEGATIVE_INFINITY;
    onError(cause);
    throw notFetched(cause);
  };
  /** One fetch at a time. All callers that need keys share it. */
  const load = async (): Promise<void> => {
    if (!fetching && within(at.failed, FAILED_MS)) throw notFetched(undefined);
    fetching ??= fetchKeySet(uri)
      .then(succeeded, failed)
      .finally(() => {
        fetching = undefined;
      });
    await fetching;
  };

  return async (hint, attempt) => {
    const isNew = !within(at.fetched, TRUSTED_MS);
    if (isNew) await load();
    else if (!within(at.fetched, FRESH_MS)) load().catch(() => {});
    const { keys, isNamed } = candidatesOf(published, hint);
    const result = await attempt(keys);
    if (result !== undefined || isNamed) return result;
    const canHelp = !isNew && (fetching || !within(at.asked, UNKNOWN_KEY_MS));
    if (!canHelp) return undefined;
    at.asked = now();
    await load();
    return attempt(candidatesOf(published, hint).keys);
  };
}

const notFetched = (cause: unknown): ChatError =>
  new ChatError("UNAVAILABLE", "The identity provider's keys can't be fetched; try again.", { cause });

/**
 * Fetches a key set of limited size that is not empty: a set without keys would lock everybody out. A key
 * that can't be used does not spoil the others.
 */
async function fetchKeySet(url: string): Promise<readonly PublishedKey[]> {
  const response = await fetch(url, {
    headers: { accept: "application/jwk-set+json, application/json" },
    redirect: "manual",
    signal: AbortSignal.timeout(FETCH_MS),
  });
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > KEY_SET_BYTES) throw new Error(`The key set has more than ${KEY_SET_BYTES} bytes.`);
    chunks.push(chunk);
  }
  if (response.status !== 200) throw new Error(`The key server answered ${response.status}.`);
  const { keys } = JSON.parse(new TextDecoder().decode(Buffer.concat(chunks))) as { keys?: unknown };
  if (!Array.isArray(keys) || !keys.some((key) => typeof key === "object" && key !== null))
    throw new Error("The key server's answer has no keys.");
  return keys.flatMap(publishedKey);
}

/** A key of RFC 7517 as providers publish it: any of the RFC's optional members may be missing. */
const Jwk = z.object({
  kty: z.string(),
  kid: z.string().optional().catch(undefined),
  alg: z.string().nullish(),
  use: z.literal("sig").nullish(),
  key_ops: z
    .array(z.unknown())
    .refine((operations) => operations.includes("verify"))
    .nullish(),
  n: z.string().optional(),
  e: z.string().optional(),
  crv: z.string().optional(),
  x: z.string().optional(),
  y: z.string().optional(),
  x5c: z.array(z.string()).optional().catch(undefined),
});

interface PublishedKey {
  readonly kid: string | undefined;
  /** The only algorithm that the key is for, if it names one. */
  readonly alg: string | undefined;
  readonly key: KeyObject;
}

/** A key for verifying signatures, or nothing. */
function publishedKey(entry: unknown): readonly PublishedKey[] {
  const { success, data } = Jwk.safeParse(entry);
  // A published private key proves nothing: everybody has it.
  if (!success || "d" in (entry as object)) return [];
  try {
    const { kid, alg } = data;
    // RFC 7517 section 4.7 demands the key itself beside its certificate, but not every provider publishes
    // it.
    const certificate = data.n === undefined && data.x === undefined ? data.x5c?.[0] : undefined;
    const key =
      certificate === undefined
        ? createPublicKey({ key: data as JsonWebKey, format: "jwk" })
        : new X509Certificate(Buffer.from(certificate, "base64")).publicKey;
    return [{ kid, alg: alg ?? undefined, key }];
  } catch {
    return [];
  }
}

/**
 * The kind of key that an algorithm needs, and the names by which a key may say that it is for the algorithm.
 * RFC 9864 has a name of its own for EdDSA with Ed25519.
 */
const KINDS: Readonly<Record<string, { names: readonly string[]; fits: (key: KeyObject) => boolean }>> = {
  RS256: { names: ["RS256"], fits: isStrongRsa },
  ES256: { names: ["ES256"], fits: (key) => key.asymmetricKeyDetails?.namedCurve === "prime256v1" },
  EdDSA: { names: ["EdDSA", "Ed25519"], fits: (key) => key.asymmetricKeyType === "ed25519" },
  Ed25519: { names: ["EdDSA", "Ed25519"], fits: (key) => key.asymmetricKeyType === "ed25519" },
};

function isStrongRsa(key: KeyObject): boolean {
  return key.asymmetricKeyType === "rsa" && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= RSA_BITS;
}

/**
 * The keys that may have signed a token: the keys with its `kid`, or else the keys without a `kid`. For a
 * token without a `kid` it is all keys. The `kid` is a hint (RFC 7515 section 4.1.4). The signature decides.
 */
function candidatesOf(
  published: readonly PublishedKey[],
  { alg, kid }: KeyHint,
): { readonly keys: readonly KeyObject[]; readonly isNamed: boolean } {
  const kind = KINDS[alg];
  const usable = published.filter(
    (one) => kind?.fits(one.key) && (one.alg === undefined || kind.names.includes(one.alg)),
  );
  const named = kid === undefined ? [] : usable.filter((one) => one.kid === kid);
  const isNamed = named.length > 0;
  const others = kid === undefined ? usable : usable.filter((one) => one.kid === undefined);
  return { keys: (isNamed ? named : others).slice(0, KEYS_TRIED).map(({ key }) => key), isNamed };
}
