import { createRemoteJWKSet, jwtVerify } from "jose";
import type { TokenCheck } from "./sas.js";

/** The tenant whose tokens are taken, and where its public keys are. */
export interface EntraSettings {
  readonly issuer: string;
  readonly jwksUri: string;
}

/** The audience of the scope `https://eventhubs.azure.net/.default`, by which the SDKs ask for a token. */
const AUDIENCE = "https://eventhubs.azure.net";

export type CheckJwt = (token: unknown) => Promise<TokenCheck>;

/**
 * Checks tokens of Entra ID. Every identity of the tenant may do everything: there are no roles here. Without
 * settings no token is taken.
 */
export function jwtCheckOf(settings: EntraSettings | undefined): CheckJwt {
  if (!settings)
    return async () => ({
      ok: false,
      reason: "tokens of Entra ID are not taken here: use a shared access key",
    });
  const { issuer, jwksUri } = settings;
  const keys = createRemoteJWKSet(new URL(jwksUri), { cooldownDuration: 1_000 });
  return async (token) => {
    try {
      const { payload } = await jwtVerify(String(token), keys, {
        issuer,
        audience: [AUDIENCE, `${AUDIENCE}/`],
        algorithms: ["RS256"],
        requiredClaims: ["exp"],
      });
      return { ok: true, expiresAt: (payload.exp ?? 0) * 1_000 };
    } catch (error) {
      return { ok: false, reason: (error as Error).message };
    }
  };
}
