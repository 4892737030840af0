import type { AccessToken, TokenCredential } from "@azure/identity";
import { LATE, within } from "./async.js";

/** The longest that a caller waits for a token. */
export const TOKEN_MS = 5_000;

/**
 * This app's identity in Entra ID, for every service that it calls. `clientId` names a user-assigned managed
 * identity; without it the identity is what `DefaultAzureCredential` finds. The SDK's code is loaded at the
 * first token: it is much, and deployments with keys never need it. Callers that ask at the same time share
 * one request, as a pool of connections would else ask once for each. Throws when no token comes within 5 s:
 * the SDK asks one source after the other and has no limit of its own.
 */
export function createCredential(clientId?: string): TokenCredential {
  let credential: Promise<TokenCredential> | undefined;
  const underWay = new Map<string, Promise<AccessToken | null>>();
  const ask = async (scopes: string | string[]): Promise<AccessToken | null> => {
    credential ??= load(clientId);
    const token = await within(
      TOKEN_MS,
      credential.then((one) => one.getToken(scopes)),
    );
    if (token === LATE) throw new Error(`No Entra token came within ${TOKEN_MS} ms.`);
    return token;
  };
  return {
    getToken(scopes) {
      const key = String(scopes);
      const asked = underWay.get(key) ?? ask(scopes).finally(() => underWay.delete(key));
      underWay.set(key, asked);
      return asked;
    },
  };
}

async function load(clientId: string | undefined): Promise<TokenCredential> {
  const { DefaultAzureCredential } = await import("@azure/identity");
  return new DefaultAzureCredential(clientId === undefined ? {} : { managedIdentityClientId: clientId });
}
