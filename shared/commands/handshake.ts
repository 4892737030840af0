import { ChatError } from "../errors.js";
import type { StompVersion } from "../stomp/frame.js";
import { rememberUser } from "../store/users.js";
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
    readonly picture?: string;
    readonly expiresAt: number;
  };
  readonly subprotocols: readonly string[];
  /** `connect=implicit`: the handshake counts as the CONNECT frame. */
  readonly implicit: boolean;
}

/** Accepts a handshake: chooses the highest STOMP version offered and remembers who the user is. Throws `NOT_SUPPORTED` where none is offered. */
export async function acceptHandshake(
  { identity, subprotocols, implicit }: HandshakeRequest,
  { database }: Pick<CommandDeps, "database">,
): Promise<{ subprotocol: string; state: ConnectionState }> {
  const chosen = SUBPROTOCOLS.find(([name]) => subprotocols.includes(name));
  if (!chosen)
    throw new ChatError(
      "NOT_SUPPORTED",
      "Offer one of the WebSocket subprotocols v12.stomp, v11.stomp, v10.stomp.",
    );
  await rememberUser(database, identity);
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

/** A connection is open: one whose handshake counted as CONNECT is sent its CONNECTED. */
export async function greet(
  connection: Connection,
  { broadcaster }: Pick<CommandDeps, "broadcaster">,
): Promise<void> {
  const { version } = connection.state;
  if (version !== undefined)
    await broadcaster.sendToConnection(connection.connectionId, connected(connection, version));
}
