import { ChatError } from "../errors.js";
import type { StompVersion } from "../stomp/frame.js";
import { serializeFrame } from "../stomp/serializer.js";
import type { Command, Connection } from "./connection.js";

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
export const connect: Command = async ({ frame }, connection) => {
  if (connection.state.version !== undefined)
    throw new ChatError("MALFORMED_FRAME", "This connection is connected already; CONNECT comes once.");
  const version = negotiateVersion(frame.headers.get("accept-version"));
  if (version === undefined)
    throw new ChatError("NOT_SUPPORTED", `No common version; this server speaks ${SUPPORTED_VERSIONS}.`);
  return { frames: [connected(connection, version)], state: { ...connection.state, version } };
};

/** The CONNECTED frame. Heart-beats are off: the socket service keeps the connection alive itself. */
export function connected(
  { connectionId, userId }: Pick<Connection, "connectionId" | "userId">,
  version: StompVersion,
): string {
  const headers = {
    version,
    server: SERVER,
    session: connectionId,
    "user-name": String(userId),
    "heart-beat": "0,0",
  };
  return serializeFrame("CONNECTED", headers, "", version);
}
