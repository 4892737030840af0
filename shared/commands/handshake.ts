import { setTimeout as pause } from "node:timers/promises";
import { ChatError } from "../errors.js";
import { log } from "../log.js";
import type { StompVersion } from "../stomp/frame.js";
import { connected } from "./connect.js";
import type { CommandDeps, Connection } from "./connection.js";
import type { ConnectionState } from "./connectionState.js";

/** The subprotocols in the order of preference, and the version each stands for. */
const SUBPROTOCOLS: readonly (readonly [name: string, version: StompVersion])[] = [
  ["v12.stomp", "1.2"],
  ["v11.stomp", "1.1"],
  ["v10.stomp", "1.0"],
];

/** What a WebSocket handshake brings along, with its token already verified. */
export interface HandshakeRequest {
  readonly identity: {
    readonly userId: number;
    readonly nickname?: string;
    readonly expiresAt: number;
  };
  readonly subprotocols: readonly string[];
  /** `connect=implicit`: the handshake counts as the CONNECT frame. */
  readonly implicit: boolean;
}

/** Accepts a handshake: chooses the highest STOMP version offered. Throws `NOT_SUPPORTED` where none is offered. */
export function acceptHandshake({ identity, subprotocols, implicit }: HandshakeRequest): {
  subprotocol: string;
  state: ConnectionState;
} {
  const chosen = SUBPROTOCOLS.find(([name]) => subprotocols.includes(name));
  if (!chosen)
    throw new ChatError(
      "NOT_SUPPORTED",
      "Offer one of the WebSocket subprotocols v12.stomp, v11.stomp, v10.stomp.",
    );
  const [subprotocol, version] = chosen;
  return {
    subprotocol,
    state: {
      expiresAt: identity.expiresAt,
      subscriptions: new Map(),
      ...(identity.nickname === undefined ? {} : { nickname: identity.nickname }),
      ...(implicit ? { version } : {}),
    },
  };
}

const GREETING_PAUSES_MS = [100, 300, 1_000, 2_000];

/**
 * A connection is open: one whose handshake counted as CONNECT is sent its CONNECTED. Tried a few times, because the service does not repeat
 * this event; a client that can't be greeted is closed, so that it comes again instead of waiting for ever.
 */
export async function greet(
  { connectionId, userId, state }: Connection,
  { broadcaster }: Pick<CommandDeps, "broadcaster">,
): Promise<void> {
  if (state.version === undefined) return;
  const frame = connected({ connectionId, userId }, state.version);
  for (const wait of GREETING_PAUSES_MS) {
    try {
      return await broadcaster.sendToConnection(connectionId, frame);
    } catch (error) {
      log.warn("a connection could not be greeted", { connectionId, error });
      await pause(wait);
    }
  }
  await broadcaster.closeConnection(connectionId, "CONNECTED could not be sent; connect again");
}
