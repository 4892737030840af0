import { HEART_BEATS } from "../fanout/groups.js";
import { ChatError } from "../platform/errors.js";
import { log } from "../platform/log.js";
import type { StompVersion } from "../stomp/frame.js";
import { serializeFrame } from "../stomp/serializer.js";
import type { Command, CommandDeps, Connection } from "./command.js";

const SERVER = "nonstop-chat/1";
const VERSIONS: readonly StompVersion[] = ["1.2", "1.1", "1.0"];
/** The versions as the ERROR frame of a failed negotiation lists them. */
export const SUPPORTED_VERSIONS = "1.0,1.1,1.2";

/**
 * The highest version that both sides speak, or nothing. Without `accept-version` a client means 1.0
 * (STOMP 1.1 and 1.2, "Protocol Negotiation").
 */
export function negotiateVersion(acceptVersion: string | undefined): StompVersion | undefined {
  const offered = (acceptVersion ?? "1.0").split(",").map((version) => version.trim());
  return VERSIONS.find((version) => offered.includes(version));
}

/** CONNECT or STOMP: agrees on a version and answers CONNECTED. Throws `NOT_SUPPORTED` without a common version. */
export const connect: Command = async ({ frame }, connection, deps) => {
  if (connection.state.version !== undefined)
    throw new ChatError("MALFORMED_FRAME", "This connection is connected already; CONNECT comes once.");
  const version = negotiateVersion(frame.headers.get("accept-version"));
  if (version === undefined)
    throw new ChatError("NOT_SUPPORTED", `No common version; this server speaks ${SUPPORTED_VERSIONS}.`);
  const wants = version !== "1.0" && wantsHeartBeats(frame.headers.get("heart-beat"));
  const heartBeats = wants && deps.heartBeats && (await joinHeartBeats(connection, deps));
  return { frames: [connected(connection, version, heartBeats)], state: { ...connection.state, version } };
};

/** At the latest so often does the server send an EOL to those who want it; in truth twice as often, so that one may be lost. */
const HEART_BEAT_MS = 60_000;

/** What the client would like to get, the second number (STOMP 1.2, "Heart-beating"); what can't be read asks for nothing. */
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

/**
 * The CONNECTED frame. The server never wants heart-beats: the socket service finds dead connections itself, and each would be a call upstream.
 */
export function connected(
  { connectionId, userId }: Pick<Connection, "connectionId" | "userId">,
  version: StompVersion,
  heartBeats = false,
): string {
  const headers = {
    version,
    server: SERVER,
    session: connectionId,
    "user-name": String(userId),
    "heart-beat": heartBeats ? `${HEART_BEAT_MS},0` : "0,0",
  };
  return serializeFrame("CONNECTED", headers, "", version);
}
