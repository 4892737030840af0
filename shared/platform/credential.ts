import type { TokenCredential } from "@azure/identity";
import { LATE, within } from "./async.js";

/** The longest that a caller waits for a token. */
export const TOKEN_MS = 5_000;

/**
 * This app's identity in Entra ID, for every service that it calls. `clientId` names a user-assigned managed
 * identity; without it the identity is what `DefaultAzureCredential` finds. The SDK's code is loaded at the
 * first token: it is much, and deployments with keys never need it. Throws when no token comes within 5 s,
 * as the SDK asks one source after the other and has no limit of its own.
 */
export function createCredential(clientId?: string): TokenCredential {
  let credential: Promise<TokenCredential> | undefined;
  return {
    async getToken(scopes, options) {
      credential ??= import("@azure/identity").then(
        ({ DefaultAzureCredential }) =>
          new DefaultAzureCredential(clientId === undefined ? {} : { managedIdentityClientId: clientId }),
      );
      const token = await within(
        TOKEN_MS,
        credential.then((one) => one.getToken(scopes, options)),
      );
      if (token === LATE) throw new Error(`No Entra token came within ${TOKEN_MS} ms.`);
      return token;
    },
  };
}
