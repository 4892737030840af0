import type { StompVersion } from "./frame.js";

/** The versions that this server speaks, the one it likes best first. */
const VERSIONS: readonly StompVersion[] = ["1.2", "1.1", "1.0"];

/** The same as the ERROR frame of a failed negotiation lists them. */
export const SUPPORTED_VERSIONS = VERSIONS.toReversed().join(",");

/** The version that frames are read and written in until CONNECT has agreed on one. */
export const ASSUMED_VERSION: StompVersion = "1.2";

/**
 * The highest version that both sides speak, or nothing. A client without `accept-version` means 1.0
 * (STOMP 1.1 and 1.2, "Protocol Negotiation").
 */
export function negotiateVersion(acceptVersion: string | undefined): StompVersion | undefined {
  const offered = (acceptVersion ?? "1.0").split(",").map((version) => version.trim());
  return VERSIONS.find((version) => offered.includes(version));
}
