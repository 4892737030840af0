import type { Connection } from "../connections/connection.js";
import { HEART_BEATS } from "../fanout/groups.js";
import { connectedFrame } from "../frames/connected.js";
import { ChatError } from "../platform/errors.js";
import { log } from "../platform/log.js";
import { negotiateVersion, SUPPORTED_VERSIONS } from "../stomp/versions.js";
import type { Command, CommandDeps } from "./command.js";

/**
 * CONNECT or STOMP: agrees on a version and answers CONNECTED. Throws `MALFORMED_FRAME` the second time,
 * `NOT_SUPPORTED` without a common version.
 */
export const connect: Command = async ({ frame }, connection, deps) => {
  const { connectionId, userId, state } = connection;
  if (state.version !== undefined)
    throw new ChatError("MALFORMED_FRAME", "This connection is connected already; CONNECT comes once.");
  const version = negotiateVersion(frame.headers.get("accept-version"));
  if (version === undefined)
    throw new ChatError("NOT_SUPPORTED", `No common version; this server speaks ${SUPPORTED_VERSIONS}.`, {
      versions: SUPPORTED_VERSIONS,
    });
  const wants = version !== "1.0" && wantsHeartBeats(frame.headers.get("heart-beat"));
  const heartBeats = wants && deps.heartBeats && (await joinHeartBeats(connection, deps));
  const connected = connectedFrame({ connectionId, userId, version, heartBeats });
  return { frames: [connected], state: { ...state, version } };
};

/**
 * Whether the client would like to get heart-beats: the second number (STOMP 1.2, "Heart-beating"). What
 * can't be read asks for nothing.
 */
const wantsHeartBeats = (header: string | undefined): boolean =>
  Number(/^\s*\d+\s*,\s*(\d+)\s*$/.exec(header ?? "")?.[1] ?? 0) > 0;

async function joinHeartBeats({ connectionId }: Connection, { broadcaster }: CommandDeps): Promise<boolean> {
  try {
    await broadcaster.joinGroup(connectionId, HEART_BEATS);
    return true;
  } catch (error) {
    log.warn("a connection goes without heart-beats", { connectionId, error });
    return false;
  }
}
