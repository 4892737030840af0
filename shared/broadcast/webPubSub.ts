import { createSecretKey, type KeyObject } from "node:crypto";
import type { TokenCredential } from "@azure/identity";
import type {
  AzureKeyCredential,
  WebPubSubServiceClient,
  WebPubSubServiceClientOptions,
} from "@azure/web-pubsub";
import type { Config } from "../config.js";
import { createCredential } from "../platform/credential.js";
import { defined } from "../platform/defined.js";
import { ChatError, type OnFault, toBeMended } from "../platform/errors.js";
import { isLoopback } from "../platform/loopback.js";
import { authorizationByIdentity, authorizationByKey } from "./authorization.js";
import { type Broadcaster, LONGEST_CALL_MS } from "./broadcaster.js";
import { createGroupCalls } from "./groupCalls.js";
import { heeding, Quiet, Throttled } from "./retryAfter.js";

/** With this many names a call's body is a few tens of KB at most. */
const GROUPS_PER_CALL = 100;
/** Of a call that the service has asked to wait. */
const TRIES = 3;
/** With less time left a call would only be cut off. */
const LEAST_MS = 500;
const SDK_RETRIES = { maxRetries: 2, retryDelayInMs: 100, maxRetryDelayInMs: 1_000 } as const;

/**
 * Whether the same call may meet another status later: after a time-out, after too many calls, after the
 * service's own failures, and where no status came at all.
 */
const isTransientStatus = (status: unknown): boolean =>
  typeof status !== "number" || status === 408 || status === 429 || status >= 500;

/**
 * Web PubSub's REST API behind the port, for one of its hubs. Without an access key it uses `credential`,
 * the app's identity in Entra ID. `onFault` is called when the service doesn't take the key or the identity.
 * Where the service asks for a pause (`Retry-After`), calls wait for its end, or fail at once where it is too
 * far away.
 */
export function connectWebPubSub(
  { endpoint, accessKeys }: Config["webPubSub"],
  hub: string,
  onFault: OnFault = () => {},
  credential: TokenCredential = createCredential(),
): Broadcaster {
  const quiet = new Quiet();
  const service = openedOnUse(endpoint, accessKeys[0] ?? credential, hub, quiet);
  const telling = tellingBy(onFault, quiet);
  const inTime = <T>(call: (ms: number) => Promise<T>): Promise<T> => telling(() => inQuiet(quiet, call));
  const guarded = <T>(call: Call<T>): Promise<T> => inTime((ms) => call(within(ms)));
  const [accessKey] = accessKeys;
  const authorization = accessKey
    ? authorizationByKey(secretOf(accessKey))
    : authorizationByIdentity(credential);
  const groups = createGroupCalls({ endpoint, hub, authorization, quiet });
  /** For a connection that has gone meanwhile the service answers 404. Nothing is left to do for it. */
  const unlessGone = (call: Call<unknown>): Promise<void> => orGone(guarded(call));
  return {
    sendToGroup: (group, text) => inTime((ms) => groups.send(group, text, ms)),
    sendToConnection: (connectionId, text) =>
      unlessGone(async (options) =>
        (await service()).sendToConnection(connectionId, text, { contentType: "text/plain", ...options }),
      ),
    closeConnection: (connectionId, reason) =>
      unlessGone(async (options) => (await service()).closeConnection(connectionId, { reason, ...options })),
    connectionExists: (connectionId) =>
      guarded(async (options) => (await service()).connectionExists(connectionId, options)),
    sendToUser: (userId, text) =>
      unlessGone(async (options) =>
        (await service()).sendToUser(String(userId), text, { contentType: "text/plain", ...options }),
      ),
    closeUserConnections: (userId, reason) =>
      unlessGone(async (options) =>
        (await service()).closeUserConnections(String(userId), { reason, ...options }),
      ),
    joinGroup: (connectionId, group) => inTime((ms) => groups.join(group, connectionId, ms)),
    leaveGroup: (connectionId, group) => orGone(inTime((ms) => groups.leave(group, connectionId, ms))),
    async removeUserFromGroups(userId, names) {
      for (let first = 0; first < names.length; first += GROUPS_PER_CALL) {
        const some = names.slice(first, first + GROUPS_PER_CALL);
        await guarded(async (options) =>
          (await service()).removeConnectionsFromGroups(some, `userId eq '${userId}'`, options),
        );
      }
    },
    groupExists: (group) => inTime((ms) => groups.exists(group, ms)),
    async clientUrl(userId, minutes) {
      // With an access key this calls nobody, so it waits for nothing.
      const token = await telling(async () =>
        (await service()).getClientAccessToken({
          userId: String(userId),
          expirationTimeInMinutes: minutes,
          ...within(LONGEST_CALL_MS),
        }),
      );
      // With an Entra token the SDK makes URLs of TLS only.
      return endpoint.startsWith("http:") ? token.url.replace(/^wss:/, "ws:") : token.url;
    },
    async ping() {
      await inTime((ms) => groups.exists("health", ms));
    },
  };
}

/**
 * The SDK's client, loaded with the first call that needs it: a process that stores and shows messages needs it for
 * none, and loading takes a fifth of what starting does. Throws at once where it could make no call.
 */
function openedOnUse(
  endpoint: string,
  proof: string | TokenCredential,
  hub: string,
  quiet: Quiet,
): () => Promise<WebPubSubServiceClient> {
  if (typeof proof !== "string" && endpoint.startsWith("http:") && !isLoopback(new URL(endpoint).hostname))
    throw new Error(
      `${endpoint} needs an access key, or https: Entra tokens go over plain HTTP on this machine only.`,
    );
  let opened: Promise<WebPubSubServiceClient> | undefined;
  return () => {
    opened ??= openService(endpoint, proof, hub, quiet);
    return opened;
  };
}

async function openService(
  endpoint: string,
  proof: string | TokenCredential,
  hub: string,
  quiet: Quiet,
): Promise<WebPubSubServiceClient> {
  const { WebPubSubServiceClient: Client } = await import("@azure/web-pubsub");
  const isPlain = endpoint.startsWith("http:");
  const options: WebPubSubServiceClientOptions = {
    // The local stand-in speaks plain HTTP. The SDK demands this option before it sends a token over plain
    // HTTP.
    allowInsecureConnection: isPlain,
    retryOptions: SDK_RETRIES,
    additionalPolicies: [{ policy: heeding(quiet), position: "perRetry" }],
  };
  if (typeof proof === "string") return new Client(endpoint, keyCredential(proof), hub, options);
  if (!isPlain) return new Client(endpoint, proof, hub, options);
  const secure = endpoint.replace(/^http:/, "https:");
  const plain = { policy: plainHttp, position: "perRetry" as const };
  const additionalPolicies = [...(options.additionalPolicies ?? []), plain];
  return new Client(secure, proof, hub, { ...options, additionalPolicies });
}

/**
 * The SDK refuses to send an Entra token over HTTP even where it is allowed to. This policy turns the HTTPS
 * URL back to HTTP after the SDK has put the token in.
 */
const plainHttp: PipelinePolicy = {
  name: "plainHttp",
  async sendRequest(request, next) {
    const { url } = request;
    request.url = url.replace(/^https:/, "http:");
    try {
      return await next(request);
    } finally {
      // A retry begins where the SDK puts tokens in, and needs HTTPS there.
      request.url = url;
    }
  },
};

type PipelinePolicy = NonNullable<WebPubSubServiceClientOptions["additionalPolicies"]>[number]["policy"];

/**
 * The SDK signs every call with `jsonwebtoken`. That tries a text as a private key first, and as a secret
 * only after the private key has failed with an exception, which takes an eighth of all CPU under load. It
 * uses a secret's `KeyObject` as a secret at once.
 */
function keyCredential(accessKey: string): AzureKeyCredential {
  return { key: secretOf(accessKey) } as unknown as AzureKeyCredential;
}

const secretOf = (accessKey: string): KeyObject => createSecretKey(Buffer.from(accessKey));

async function orGone(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if ((error as { statusCode?: unknown } | null)?.statusCode !== 404) throw error;
  }
}

/** The service's statuses for a key or a role that it doesn't take. */
const FAULTS = new Set<unknown>([401, 403]);

type Call<T> = (options: Within) => Promise<T>;

interface Within {
  readonly abortSignal: AbortSignal;
}

const within = (ms: number): Within => ({ abortSignal: AbortSignal.timeout(Math.max(1, Math.ceil(ms))) });

/**
 * Makes a call that takes 5 s at most, the pauses included that the service asks for. Throws `Throttled` at
 * once where the pause is longer than what is left, without a call where the service has asked before.
 */
async function inQuiet<T>(quiet: Quiet, call: (ms: number) => Promise<T>): Promise<T> {
  const due = performance.now() + LONGEST_CALL_MS;
  const left = (): number => due - performance.now();
  for (let tried = 1; ; tried += 1) {
    await quiet.over(left() - LEAST_MS);
    try {
      return await call(left());
    } catch (error) {
      if (!(error instanceof Throttled) || tried >= TRIES) throw error;
    }
  }
}

/**
 * Throws transient failures as `UNAVAILABLE`. Tells `onFault` of failures that only the service's owner can
 * mend, and throws those as `UNAVAILABLE`, too. Any other refusal is the call's own fault, and is thrown as
 * it is.
 */
const tellingBy =
  (onFault: OnFault, quiet: Quiet) =>
  async <T>(call: () => Promise<T>): Promise<T> => {
    try {
      return await call();
    } catch (cause) {
      const { statusCode, message } = (cause ?? {}) as { statusCode?: unknown; message?: unknown };
      if (isTransientStatus(statusCode)) throw unreachable(cause, quiet);
      if (!FAULTS.has(statusCode)) throw cause;
      const kind = String(statusCode);
      onFault({ what: `${kind}: ${String(message).slice(0, 200)}`, kind, isOwn: true });
      throw toBeMended(cause);
    }
  };

function unreachable(cause: unknown, quiet: Quiet): ChatError {
  const retryAfter = cause instanceof Throttled ? Math.max(1, Math.ceil(quiet.left / 1_000)) : undefined;
  const text = "The socket service can't be reached right now.";
  return new ChatError("UNAVAILABLE", text, { cause, ...defined({ retryAfter }) });
}
