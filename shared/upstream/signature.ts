import { createHmac, timingSafeEqual } from "node:crypto";

/**
 * Whether `ce-signature` proves that the call comes from the service: `sha256=<hex HMAC-SHA256(access key,
 * connection id)>` for each access key, comma-separated. Any of our keys may match any of theirs, so keys can
 * be rotated. Takes the same time for right and wrong signatures.
 */
export function isSigned(
  connectionId: string,
  signature: string | undefined,
  accessKeys: readonly string[],
): boolean {
  if (signature === undefined || connectionId === "" || signature.length > 1_000) return false;
  const expected = accessKeys.map((key) =>
    Buffer.from(`sha256=${createHmac("sha256", key).update(connectionId).digest("hex")}`),
  );
  const given = signature.split(",").map((part) => Buffer.from(part.trim()));
  let matches = 0;
  for (const one of given) for (const other of expected) matches += areEqual(one, other) ? 1 : 0;
  return matches > 0;
}

/** Whether two texts are the same. Takes the same time for right and wrong ones of one length. */
export const isSame = (one: string, other: string): boolean => areEqual(Buffer.from(one), Buffer.from(other));

const areEqual = (one: Buffer, other: Buffer): boolean =>
  one.length === other.length && timingSafeEqual(one, other);
