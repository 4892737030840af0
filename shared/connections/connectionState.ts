import { z } from "zod";
import type { StompVersion } from "../stomp/frame.js";
import { ASSUMED_VERSION } from "../stomp/versions.js";

/**
 * What is remembered of one connection between its frames. It travels with the connection as
 * `ce-connectionState`, a header: so its names are short and its size is bounded.
 */
export interface ConnectionState {
  /** The STOMP version, once CONNECTED was sent. */
  readonly version?: StompVersion;
  readonly nickname?: string;
  /** When the client's token ends, in seconds since 1970. */
  readonly expiresAt: number;
  /** What the client calls its device, hashed. */
  readonly device?: string;
  /** Its number in the order in which its user's sessions connected, once it has a slot. */
  readonly order?: number;
  /** When it connected, in milliseconds since 1970; until it has a slot. */
  readonly connectedAt?: number;
  /** What it looks like, to tell whether an evicted session has come straight back; until it has a slot. */
  readonly likeness?: string;
  /** Its user asked for it, knowing that another session may have to go; until it has a slot. */
  readonly takesOver?: true;
  /** The lane of each subscription's destination, by the subscription id as it stands on the wire. */
  readonly subscriptions: ReadonlyMap<string, string>;
  /** A frame that has come in part. */
  readonly unfinished?: Unfinished;
  /** The last frame was taken without its NUL. If the NUL was only late, the next message begins with it. */
  readonly nulIsMissing?: true;
}

/** What is kept of a frame until the rest of it comes. */
export interface Unfinished {
  /** When it began, in milliseconds since 1970. */
  readonly since: number;
  /** How many bytes of it have come. */
  readonly bytes: number;
  /** With fewer bytes in all it can't be whole. */
  readonly least: number;
  /** With more bytes in all it would be too large. */
  readonly most: number;
  /** It stood behind a frame that could not be taken. */
  readonly skipped: boolean;
}

/** The version in which the connection's frames are written. */
export const versionOf = ({ version }: ConnectionState): StompVersion => version ?? ASSUMED_VERSION;

/**
 * The header's bytes in base64 stay below what proxies and servers commonly take for all headers together.
 */
const STATE_BYTES = 3_000;

const Encoded = z.object({
  v: z.enum(["1.0", "1.1", "1.2"]).optional(),
  n: z.string().optional(),
  x: z.number(),
  d: z.string().optional(),
  o: z.number().optional(),
  c: z.number().optional(),
  l: z.string().optional(),
  t: z.literal(1).optional(),
  s: z.array(z.tuple([z.string(), z.string()])).optional(),
  p: z
    .tuple([z.number(), z.number(), z.number(), z.number(), z.union([z.literal(0), z.literal(1)])])
    .optional(),
  u: z.literal(1).optional(),
});
/** The members of the state's JSON; `@azure/web-pubsub-express` puts them into base64 and back. */
export type EncodedState = z.infer<typeof Encoded>;

/**
 * The state as the members of its JSON object. A member that the state does not have is undefined, so that it
 * vanishes.
 */
export function encodeState(state: ConnectionState): EncodedState {
  return {
    v: state.version,
    n: state.nickname,
    x: state.expiresAt,
    d: state.device,
    o: state.order,
    c: state.connectedAt,
    l: state.likeness,
    t: state.takesOver && 1,
    s: state.subscriptions.size === 0 ? undefined : [...state.subscriptions],
    p: state.unfinished && encodeUnfinished(state.unfinished),
    u: state.nulIsMissing && 1,
  };
}

const encodeUnfinished = ({ since, bytes, least, most, skipped }: Unfinished): EncodedState["p"] => [
  since,
  bytes,
  least,
  most,
  skipped ? 1 : 0,
];

/**
 * The state that an event brings; undefined for anything but a state of ours. The signature has vouched for
 * it.
 */
export function decodeState(encoded: unknown): ConnectionState | undefined {
  const result = Encoded.safeParse(encoded);
  if (!result.success) return undefined;
  const { v, n, x, d, o, c, l, t, s, p, u } = result.data;
  return {
    expiresAt: x,
    subscriptions: new Map(s ?? []),
    ...(v === undefined ? {} : { version: v }),
    ...(n === undefined ? {} : { nickname: n }),
    ...(d === undefined ? {} : { device: d }),
    ...(o === undefined ? {} : { order: o }),
    ...(c === undefined ? {} : { connectedAt: c }),
    ...(l === undefined ? {} : { likeness: l }),
    ...(t === undefined ? {} : { takesOver: true as const }),
    ...(p === undefined ? {} : { unfinished: decodeUnfinished(p) }),
    ...(u === undefined ? {} : { nulIsMissing: true as const }),
  };
}

function decodeUnfinished([since, bytes, least, most, skipped]: NonNullable<EncodedState["p"]>): Unfinished {
  return { since, bytes, least, most, skipped: skipped === 1 };
}

/** Whether the state still fits in its header. An unfinished frame would take some 80 bytes more. */
export function fits(state: ConnectionState): boolean {
  return Math.ceil(Buffer.byteLength(JSON.stringify(encodeState(state))) / 3) * 4 <= STATE_BYTES;
}
