import { SignJWT } from "jose";
import type { AuthSettings } from "./settings.js";

/** A JWT for local use, valid for `seconds`. */
export function signToken(
  auth: AuthSettings,
  { userId, nickname }: { readonly userId: number; readonly nickname?: string | undefined },
  seconds: number,
): Promise<string> {
  return new SignJWT(nickname === undefined ? {} : { nickname })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(String(userId))
    .setIssuer(auth.AUTH_ISSUER)
    .setAudience(auth.AUTH_AUDIENCE)
    .setIssuedAt()
    .setExpirationTime(`${seconds}s`)
    .sign(new TextEncoder().encode(auth.AUTH_JWT_SECRET));
}
