import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { Connection } from "../commands/command.js";
import { connected } from "../commands/connect.js";
import { ChatError } from "../platform/errors.js";
import { log } from "../platform/log.js";
import { originOf } from "../platform/origins.js";
import { DeviceId } from "../platform/text.js";
import type { StompVersion } from "../stomp/frame.js";
import { enter, type SessionDeps } from "./admission.js";
import { closeEnded } from "./closing.js";
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
  /** As the client calls its device: a new session of it takes the old one's place. */
  readonly deviceId?: string | undefined;
  /** `takeOver=true`: its user asked for it, knowing that another session may have to go. */
  readonly takeOver: boolean;
  /** Of the handshake, names in lower case. A page's `origin` is always said by browsers. */
  readonly headers: Readonly<Record<string, readonly string[] | undefined>>;
}

/**
 * Accepts a handshake: chooses the highest STOMP version offered; where no subprotocol at all is offered, as by many native libraries, CONNECT says the version. The connection has its place among its user's sessions from when it is open. Throws `NOT_SUPPORTED` where subprotocols
 * are offered and none of them is a STOMP version, `FORBIDDEN` for a page of another origin, `INVALID_REQUEST` for a bad device id.
 */
export function acceptHandshake(
  { identity, subprotocols, implicit, deviceId, takeOver, headers }: HandshakeRequest,
  { allowedOrigins, now }: { readonly allowedOrigins: readonly string[]; readonly now: () => number },
): { subprotocol: string | undefined; state: ConnectionState } {
  const [subprotocol, version] = chosenOf(subprotocols);
  const origin = headers["origin"]?.[0];
  // Some web views write an origin's host as it was given to them.
  const from = origin && (originOf(origin) ?? origin);
  if (from !== undefined && allowedOrigins.length > 0 && !allowedOrigins.includes(from))
    throw new ChatError("FORBIDDEN", "Pages of this origin may not connect.");
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

/** What tells one program of a user from others, as far as its handshake does: the kind of program, its page, its language, its network. */
function likenessOf(headers: HandshakeRequest["headers"]): string {
  const told = ["user-agent", "origin", "accept-language", "x-forwarded-for"].map(
    (name) => headers[name] ?? [],
  );
  return createHash("sha256").update(JSON.stringify(told)).digest("base64url").slice(0, 8);
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

/** What stands for a device in the session store and in the connection's state: short, whatever the client calls it. */
export function deviceOf(deviceId: string): string {
  const result = DeviceId.safeParse(deviceId);
  if (!result.success)
    throw new ChatError("INVALID_REQUEST", `deviceId: ${result.error.issues[0]?.message}`, {
      field: "deviceId",
    });
  return createHash("sha256").update(result.data).digest("base64url").slice(0, 16);
}

const GREETING_PAUSES_MS = [100, 300, 1_000, 2_000];
/** Nobody waits for it; and whoever says nothing more would else never be counted. */
const COUNTING_PAUSES_MS = [1_000, 3_000];

/**
 * A connection is open, and is given its place; its first frame does the same, should this event be lost. One whose handshake counted as CONNECT is sent its CONNECTED. Where the session store did
 * not answer in that moment it is asked twice more.
 */
export async function greet(connection: Connection, deps: SessionDeps): Promise<void> {
  let standing = await place(connection, deps);
  const { version } = connection.state;
  if (standing !== "ended" && version !== undefined) await sendConnected(connection, version, deps);
  for (const wait of COUNTING_PAUSES_MS) {
    if (standing !== "uncounted") return;
    await pause(wait);
    standing = await place(connection, deps);
  }
}

/** Gives an open connection its place, or tells and closes it. */
async function place(connection: Connection, deps: SessionDeps): Promise<"placed" | "uncounted" | "ended"> {
  const entry = await enter(connection, undefined, deps, { isNew: true });
  if (entry.kind !== "ended") return entry.state.order === undefined ? "uncounted" : "placed";
  if (entry.told) await closeEnded(connection.userId, [entry.told], deps);
  return "ended";
}

/**
 * Tried a few times, because the service does not repeat this event; a client that can't be greeted is closed, so that it comes again instead of waiting for ever.
 */
async function sendConnected(
  { connectionId, userId }: Connection,
  version: StompVersion,
  { broadcaster }: SessionDeps,
): Promise<void> {
  const frame = connected({ connectionId, userId }, version);
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
