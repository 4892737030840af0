import { createSecretKey } from "node:crypto";
import { type AzureKeyCredential, WebPubSubServiceClient } from "@azure/web-pubsub";
import type { Config } from "../config.js";
import { ChatError } from "../errors.js";
import type { Broadcaster } from "./broadcaster.js";

const CALL_MS = 5_000;
/** A body of a few tens of KB at most. */
const GROUPS_PER_CALL = 100;
const SDK_RETRIES = { maxRetries: 2, retryDelayInMs: 100, maxRetryDelayInMs: 1_000 } as const;

/** Statuses that the same call may not meet again: time-out, too many, and the service's own failures. */
const isPassing = (status: unknown): boolean =>
  typeof status !== "number" || status === 408 || status === 429 || status >= 500;

/** Web PubSub's REST API behind the port, for one of its hubs. */
export function connectWebPubSub({ endpoint, accessKeys }: Config["webPubSub"], hub: string): Broadcaster {
  const service = new WebPubSubServiceClient(endpoint, credential(accessKeys[0] ?? ""), hub, {
    // The local stand-in speaks plain HTTP; the SDK asks for this before it sends a token over it.
    allowInsecureConnection: endpoint.startsWith("http:"),
    retryOptions: SDK_RETRIES,
  });
  const options = () => ({ abortSignal: AbortSignal.timeout(CALL_MS) });
  return {
    sendToGroup: (group, text) =>
      guarded(() => service.group(group).sendToAll(text, { contentType: "text/plain", ...options() })),
    sendToConnection: (connectionId, text) =>
      unlessGone(() =>
        service.sendToConnection(connectionId, text, { contentType: "text/plain", ...options() }),
      ),
    closeConnection: (connectionId, reason) =>
      unlessGone(() => service.closeConnection(connectionId, { reason, ...options() })),
    joinGroup: (connectionId, group) =>
      guarded(() => service.group(group).addConnection(connectionId, options())),
    leaveGroup: (connectionId, group) =>
      unlessGone(() => service.group(group).removeConnection(connectionId, options())),
    async removeUserFromGroups(userId, groups) {
      for (let first = 0; first < groups.length; first += GROUPS_PER_CALL) {
        const some = groups.slice(first, first + GROUPS_PER_CALL);
        await guarded(() => service.removeConnectionsFromGroups(some, `userId eq '${userId}'`, options()));
      }
    },
    groupExists: (group) => guarded(() => service.groupExists(group, options())),
    async clientUrl(userId, minutes) {
      const token = await guarded(() =>
        service.getClientAccessToken({ userId: String(userId), expirationTimeInMinutes: minutes }),
      );
      return token.url;
    },
    async ping() {
      await guarded(() => service.groupExists("health", options()));
    },
  };
}

/**
 * The SDK signs every call with `jsonwebtoken`, which takes a text for a private key first and for a secret only after that
 * has failed with an exception: an eighth of all CPU under load. A secret's `KeyObject` is taken for what it is.
 */
function credential(accessKey: string): AzureKeyCredential {
  return { key: createSecretKey(Buffer.from(accessKey)) } as unknown as AzureKeyCredential;
}

async function guarded<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    const status = (cause as { statusCode?: unknown } | null)?.statusCode;
    if (isPassing(status))
      throw new ChatError("UNAVAILABLE", "The socket service can't be reached right now.", { cause });
    throw cause;
  }
}

/** A connection that has gone in the meantime answers 404, and needs nothing any more. */
async function unlessGone(call: () => Promise<unknown>): Promise<void> {
  await guarded(call).catch((error: unknown) => {
    if ((error as { statusCode?: unknown } | null)?.statusCode !== 404) throw error;
  });
}
