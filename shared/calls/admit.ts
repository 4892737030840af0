import { bearerToken, type VerifyToken, type VerifyTrusted } from "../auth/verifier.js";
import { requireRate, type SessionLimits } from "../connections/rates.js";
import type { Rates } from "../redis/ports.js";
import type { Caller, Who } from "./call.js";

interface Deps {
  readonly rates: Rates;
  readonly limits: SessionLimits;
  readonly verifyToken: VerifyToken;
  readonly verifyTrusted: VerifyTrusted;
  /** Notes that a user has been here. */
  readonly arrive: (userId: number) => Promise<void>;
}

/**
 * The user who calls, by the JWT of the header `Authorization`, counted against the call's limit; nobody
 * where no user makes such calls. A user counts as having been here from then on. Throws `UNAUTHORIZED`,
 * `FORBIDDEN` (a service that isn't trusted), `RATE_LIMIT_EXCEEDED`, and `UNAVAILABLE` when the token can't
 * be judged.
 */
export async function admit(who: Who, authorization: string | null, deps: Deps): Promise<Caller | undefined> {
  if (who === "open") return undefined;
  // Without a token the verifiers say what is missing.
  const token = bearerToken(authorization) ?? "";
  if (who === "trusted") {
    await deps.verifyTrusted(token);
    return undefined;
  }
  const identity = await deps.verifyToken(token);
  await deps.arrive(identity.userId);
  await requireRate(identity.userId, who.rate, deps);
  return { token, ...identity };
}
