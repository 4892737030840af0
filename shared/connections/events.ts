import { bearerToken, type VerifyToken } from "../auth/verifier.js";
import type { CommandDeps } from "../commands/command.js";
import { handleMessage } from "../commands/dispatch.js";
import { ChatError, toChatError } from "../platform/errors.js";
import { log, logUnavailable } from "../platform/log.js";
import { count } from "../platform/metrics.js";
import { inSpan, SpanKind } from "../platform/trace.js";
import type { Accepted, ConnectionEvent, Handshake, State, UpstreamHandlers } from "../upstream/events.js";
import type { Connection } from "./connection.js";
import { type ConnectionState, decodeState, encodeState } from "./connectionState.js";
import { forgetConnection } from "./gone.js";
import { greet } from "./greeting.js";
import { acceptHandshake } from "./handshake.js";
import { requireRate } from "./rates.js";
import { rememberIdentity } from "./remember.js";

/** What the events of connections need. */
export interface ConnectionDeps extends CommandDeps {
  readonly verifyToken: VerifyToken;
  /** The origins of pages that may connect; all where there are none. */
  readonly allowedOrigins: readonly string[];
  /** Notes that a user has come. */
  readonly arrive: (userId: number) => Promise<void>;
}

/**
 * The events of connections as the socket service tells of them. A connection's state is decoded and encoded
 * here alone.
 */
export const connectionEvents = (deps: ConnectionDeps): UpstreamHandlers => ({
  connect: (handshake) =>
    told("connect", handshake, async () => {
      try {
        return await connect(handshake, deps);
      } catch (error) {
        count.refused(toChatError(error).code, "handshake");
        throw error;
      }
    }),
  connected: (event) => told("connected", event, () => greet(connectionOf(event), deps)),
  disconnected: (event) => told("disconnected", event, () => forgetConnection(connectionOf(event), deps)),
  async message(event) {
    const connection = connectionOf(event);
    const { state, ...answer } = await handleMessage(event, connection, deps);
    // The same object says that nothing has changed.
    return { state: state === connection.state ? event.state : encodeState(state), ...answer };
  },
});

/** Handles what is told of a connection in a span of its own. The frames of a message have one each. */
const told = <T>(
  name: "connect" | "connected" | "disconnected",
  { connectionId }: { readonly connectionId: string },
  work: () => Promise<T>,
): Promise<T> =>
  inSpan(() => ({ name, kind: SpanKind.SERVER, attributes: { "chat.connection.id": connectionId } }), work);

async function connect({ headers, query, subprotocols }: Handshake, deps: ConnectionDeps): Promise<Accepted> {
  const token = query["token"]?.[0] ?? bearerToken(headers["authorization"]?.join(","));
  const identity = await deps.verifyToken(token);
  const implicit = query["connect"]?.[0] === "implicit";
  const [deviceId, takeOver] = [query["deviceId"]?.[0], query["takeOver"]?.[0] === "true"];
  // First, so that handshakes that are refused count as well.
  await requireRate(identity.userId, "handshakes", deps);
  const request = { identity, subprotocols, implicit, deviceId, takeOver, headers };
  const { subprotocol, state } = acceptHandshake(request, deps);
  await Promise.all([rememberIdentity(identity, deps.database), deps.arrive(identity.userId)]);
  return { userId: String(identity.userId), subprotocol, state: encodeState(state) };
}

/** Of states that come again as the same object. */
const decodedStates = new WeakMap<State, ConnectionState>();

function decodedOf(state: State): ConnectionState | undefined {
  const known = decodedStates.get(state);
  if (known) return known;
  const decoded = decodeState(state);
  if (decoded) decodedStates.set(state, decoded);
  return decoded;
}

/**
 * The connection of an event. The service gives back what `connect` answered; anything else is a fault on the
 * way.
 */
function connectionOf({ connectionId, userId, state }: ConnectionEvent): Connection {
  const decoded = decodedOf(state);
  if (!decoded) throw new Error(`connection ${connectionId} came without its state`);
  return { connectionId, userId: Number(userId), state: decoded };
}

/**
 * Logs an upstream event that failed. While the keys of the service's identity can't be fetched all events
 * fail.
 */
export function reportFailedEvent(error: unknown): void {
  if (error instanceof ChatError && error.code === "UNAVAILABLE") logUnavailable("an upstream event", error);
  else log.error("an upstream event failed", { error });
}
