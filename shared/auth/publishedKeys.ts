import { createPublicKey, type JsonWebKey, type KeyObject, X509Certificate } from "node:crypto";
import { z } from "zod";

/** The algorithm and the key id of a token's header. */
export interface KeyHint {
  readonly alg: string;
  readonly kid?: string | undefined;
}

const FETCH_MS = 5_000;
const KEY_SET_BYTES = 256 * 1024;
/** The most keys that a token without a key id is tried with. */
const KEYS_TRIED = 16;
const RSA_BITS = 2_048;

/**
 * Fetches a key set. Throws where it is too long, or has no keys: an empty one would lock everybody out. A
 * key that can't be used is left out and does not spoil the others.
 */
export async function fetchKeySet(url: string): Promise<readonly PublishedKey[]> {
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

/** A key of RFC 7517 as providers publish it: of what is optional there, any may be missing. */
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

export interface PublishedKey {
  readonly kid: string | undefined;
  /** The one algorithm that the key says it is for, if it says so. */
  readonly alg: string | undefined;
  readonly key: KeyObject;
}

/** A key that signatures can be verified with, or nothing. */
function publishedKey(entry: unknown): readonly PublishedKey[] {
  const { success, data } = Jwk.safeParse(entry);
  // A private key that was published can be anybody's.
  if (!success || "d" in (entry as object)) return [];
  try {
    const { kid, alg } = data;
    // RFC 7517 section 4.7 wants the key itself beside its certificate. Some providers publish the
    // certificate alone.
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
 * The keys that an algorithm works with, and the names by which a key may say that it is for that algorithm.
 */
interface Kind {
  readonly names: readonly string[];
  readonly fits: (key: KeyObject) => boolean;
}

/** RFC 9864 gives EdDSA with Ed25519 a name of its own. */
const ED25519: Kind = { names: ["EdDSA", "Ed25519"], fits: (key) => key.asymmetricKeyType === "ed25519" };

const KINDS: Readonly<Record<string, Kind>> = {
  RS256: { names: ["RS256"], fits: isStrongRsa },
  ES256: { names: ["ES256"], fits: (key) => key.asymmetricKeyDetails?.namedCurve === "prime256v1" },
  EdDSA: ED25519,
  Ed25519: ED25519,
};

function isStrongRsa(key: KeyObject): boolean {
  return key.asymmetricKeyType === "rsa" && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= RSA_BITS;
}

/**
 * The keys that may have signed a token, in the order in which they are tried: those with its `kid`; where no
 * key has that, those without one; for a token without `kid`, all. `kid` is a hint (RFC 7515 section 4.1.4),
 * the signature decides.
 */
export function candidatesOf(
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
