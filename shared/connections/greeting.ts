import { setTimeout as pause } from "node:timers/promises";
import { connectedFrame } from "../frames/connected.js";
import { log } from "../platform/log.js";
import type { StompVersion } from "../stomp/frame.js";
import { enter, type SessionDeps } from "./admission.js";
import { closeEvicted } from "./closing.js";
import type { Connection } from "./connection.js";

const GREETING_PAUSES_MS = [100, 300, 1_000, 2_000];
/**
 * Nobody waits for the event that a connection is open; and a connection that never says a word would not be
 * counted otherwise.
 */
const COUNTING_PAUSES_MS = [1_000, 3_000];

/**
 * A connection is open, and is given its slot; its first frame does the same, should this event be lost. A
 * connection whose handshake counted as CONNECT is sent its CONNECTED. A session store that does not answer
 * is asked twice more. Throws when the socket service can neither greet the connection nor close it.
 */
export async function greet(connection: Connection, deps: SessionDeps): Promise<void> {
  let standing = await takeSlot(connection, deps);
  const { version } = connection.state;
  if (standing !== "evicted" && version !== undefined) await sendConnected(connection, version, deps);
  for (const wait of COUNTING_PAUSES_MS) {
    if (standing !== "uncounted") return;
    await pause(wait);
    standing = await takeSlot(connection, deps);
  }
}

/** Gives an open connection its slot, or tells and closes a connection that has lost it already. */
async function takeSlot(
  connection: Connection,
  deps: SessionDeps,
): Promise<"counted" | "uncounted" | "evicted"> {
  const entry = await enter(connection, undefined, deps, { isNew: true });
  if (entry.kind !== "evicted") return entry.state.order === undefined ? "uncounted" : "counted";
  if (entry.farewell) await closeEvicted(connection.userId, [entry.farewell], deps);
  return "evicted";
}

/**
 * Tries a few times, as the service does not repeat this event. A client that can't be greeted is closed: so
 * it comes again instead of waiting for ever.
 */
async function sendConnected(
  { connectionId, userId }: Connection,
  version: StompVersion,
  { broadcaster }: SessionDeps,
): Promise<void> {
  const frame = connectedFrame({ connectionId, userId, version, heartBeats: false });
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
