import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { entityOf } from "./address.js";

/** Shared access keys by name. */
export type Keys = Readonly<Record<string, string>>;

/** The entities that a connection may use, by lower-case path, and until when (milliseconds since 1970). */
export type Claims = Map<string, number>;

/** How many audiences one connection's put-token calls keep. The oldest is forgotten first. */
const MAX_CLAIMS = 1000;

export type TokenCheck =
  | { readonly ok: true; readonly expiresAt: number }
  | { readonly ok: false; readonly reason: string };

/**
 * Checks `SharedAccessSignature sr=…&sig=…&se=…&skn=…`: the signature is HMAC-SHA256 with the named key over
 * the `sr` as it stands (still URL-encoded), a line feed, and `se` (seconds since 1970). The audience must
 * lie below `sr`.
 */
export function checkToken(token: unknown, audience: string, keys: Keys, now = Date.now()): TokenCheck {
  const refuse = (reason: string): TokenCheck => ({ ok: false, reason });
  const prefix = "SharedAccessSignature ";
  if (typeof token !== "string" || !token.startsWith(prefix))
    return refuse("the token is no SharedAccessSignature");
  const fields = new Map(token.slice(prefix.length).split("&").map(splitField));
  const resource = fields.get("sr");
  const expiry = fields.get("se");
  const name = decode(fields.get("skn"));
  const key = Object.hasOwn(keys, name) ? keys[name] : undefined;
  if (resource === undefined || expiry === undefined || !/^\d{1,12}$/.test(expiry))
    return refuse("sr or se is missing");
  if (key === undefined) return refuse(`there is no key named '${name}'`);
  const expected = createHmac("sha256", key).update(`${resource}\n${expiry}`).digest();
  const given = Buffer.from(decode(fields.get("sig")), "base64");
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    return refuse("the signature is wrong");
  const expiresAt = Number(expiry) * 1000;
  if (expiresAt <= now) return refuse("the token has expired");
  if (!below(entityPath(audience), entityPath(decode(resource))))
    return refuse("the token is for another entity");
  return { ok: true, expiresAt };
}

/** True for the name and the key of a shared access key, as SASL PLAIN has them. */
export function isKey(name: string | null, key: string | null, keys: Keys): boolean {
  const right = Object.hasOwn(keys, name ?? "") ? keys[name ?? ""] : undefined;
  if (right === undefined || key === null) return false;
  // Digests have the same length, which timingSafeEqual asks for.
  return timingSafeEqual(digest(key), digest(right));
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** The entity of an audience such as `sb://host:port/hub/Partitions/0`: `hub/partitions/0`, lower-case. */
function entityPath(audience: string): string {
  // Some clients leave the scheme out. Their address begins with a host all the same.
  const url = audience.includes("://") ? audience : `sb://${audience}`;
  return entityOf(url).toLowerCase();
}

/** Remembers a claim, and forgets the oldest when there are too many. */
export function addClaim(claims: Claims, audience: string, expiresAt: number): void {
  const path = entityPath(audience);
  claims.delete(path);
  claims.set(path, expiresAt);
  if (claims.size > MAX_CLAIMS) claims.delete(claims.keys().next().value!);
}

/** True when a claim on the entity, or on something above it, still holds. */
export function isAuthorized(claims: Claims, entity: string, now = Date.now()): boolean {
  const path = entity.toLowerCase();
  for (const [claimed, expiresAt] of claims) if (expiresAt > now && below(path, claimed)) return true;
  return false;
}

function below(path: string, above: string): boolean {
  return above === "" || path === above || path.startsWith(`${above}/`);
}

function splitField(field: string): [string, string] {
  const at = field.indexOf("=");
  return at < 0 ? [field, ""] : [field.slice(0, at), field.slice(at + 1)];
}

function decode(value: string | undefined): string {
  try {
    return decodeURIComponent(value ?? "");
  } catch {
    return "";
  }
}
