import { hash } from "node:crypto";
import { ChatError } from "../platform/errors.js";
import { originOf } from "../platform/origins.js";
import { DeviceId } from "../platform/text.js";
import type { StompVersion } from "../stomp/frame.js";
import type { ConnectionState } from "./connectionState.js";

/** The subprotocols in the order of preference, and the version that each stands for. */
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
  /** What the client calls its device: a new session of a device takes the old one's slot. */
  readonly deviceId?: string | undefined;
  /** `takeOver=true`: the user asked for it, knowing that another session may have to go. */
  readonly takeOver: boolean;
  /** Of the handshake, names in lower case. Browsers always say a page's `origin`. */
  readonly headers: Readonly<Record<string, readonly string[] | undefined>>;
}

/**
 * Accepts a handshake, and chooses the highest STOMP version offered. Many native libraries offer no
 * subprotocol at all: then CONNECT says the version. A connection counts towards the session limit once it is
 * open, not at the handshake. Throws `NOT_SUPPORTED` where subprotocols are offered and none of them is a
 * STOMP version, `FORBIDDEN` for a page of another origin, `INVALID_REQUEST` for a bad device id.
 */
export function acceptHandshake(
  { identity, subprotocols, implicit, deviceId, takeOver, headers }: HandshakeRequest,
  { allowedOrigins, now }: { readonly allowedOrigins: readonly string[]; readonly now: () => number },
): { subprotocol: string | undefined; state: ConnectionState } {
  const [subprotocol, version] = chosenOf(subprotocols);
  requireOrigin(headers["origin"]?.[0], allowedOrigins);
  const state = {
    expiresAt: identity.expiresAt,
    connectedAt: now(),
    subscriptions: new Map<string, string>(),
    ...(identity.nickname === undefined ? {} : { nickname: identity.nickname }),
    ...(implicit ? { version } : {}),
    ...(takeOver ? { takesOver: true as const } : {}),
    ...(deviceId === undefined ? { likeness: likenessOf(headers) } : { device: deviceOf(deviceId) }),
  };
  return { subprotocol, state };
}

/** A page of an origin that is not among the allowed ones may not connect, if there are any. */
function requireOrigin(origin: string | undefined, allowedOrigins: readonly string[]): void {
  // Some web views write an origin's host as it was given to them.
  const from = origin && (originOf(origin) ?? origin);
  if (from !== undefined && allowedOrigins.length > 0 && !allowedOrigins.includes(from))
    throw new ChatError("FORBIDDEN", "Pages of this origin may not connect.");
}

/**
 * What tells one of a user's programs from the others, as far as a handshake does: the kind of program, its
 * page, its language, its network.
 */
function likenessOf(headers: HandshakeRequest["headers"]): string {
  const told = ["user-agent", "origin", "accept-language", "x-forwarded-for"].map(
    (name) => headers[name] ?? [],
  );
  return hash("sha256", JSON.stringify(told), "base64url").slice(0, 8);
}

function chosenOf(
  offered: readonly string[],
): readonly [subprotocol: string | undefined, version: StompVersion] {
  if (offered.length === 0) return [undefined, "1.2"];
  const chosen = SUBPROTOCOLS.find(([name]) => offered.includes(name));
  if (chosen) return chosen;
  const text = "Offer one of the WebSocket subprotocols v12.stomp, v11.stomp, v10.stomp, or none at all.";
  throw new ChatError("NOT_SUPPORTED", text);
}

/**
 * A device in the session store and in the connection's state: short, whatever the client calls it. Throws
 * `INVALID_REQUEST` for a bad device id.
 */
export function deviceOf(deviceId: string): string {
  const result = DeviceId.safeParse(deviceId);
  if (!result.success)
    throw new ChatError("INVALID_REQUEST", `deviceId: ${result.error.issues[0]?.message}`, {
      field: "deviceId",
    });
  return hash("sha256", result.data, "base64url").slice(0, 16);
}
