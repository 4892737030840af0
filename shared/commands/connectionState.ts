import { z } from "zod";

/**
 * What is remembered of one connection between its frames. It travels with the connection as `ce-connectionState`,
 * a header, so its names are short and its size is bounded.
 */
export interface ConnectionState {
  /** The STOMP version once CONNECTED was sent. */
  readonly version?: "1.0" | "1.1" | "1.2";
  readonly nickname?: string;
  /** Seconds since 1970 at which the client's token ends. */
  readonly expiresAt: number;
  /** What the client calls its device, hashed. */
  readonly device?: string;
  /** Its place in the order of the user's sessions, once it was given one. */
  readonly order?: number;
  /** Until then: when it connected, in milliseconds since 1970. */
  readonly connectedAt?: number;
  /** Subscription id as it stands on the wire, to the destination's key. */
  readonly subscriptions: ReadonlyMap<string, string>;
}

/** The header's bytes in base64 stay below what proxies and servers commonly take for all headers together. */
const STATE_BYTES = 3_000;

const Encoded = z.object({
  v: z.enum(["1.0", "1.1", "1.2"]).optional(),
  n: z.string().optional(),
  x: z.number(),
  d: z.string().optional(),
  o: z.number().optional(),
  c: z.number().optional(),
  s: z.array(z.tuple([z.string(), z.string()])).optional(),
});
/** The members of the state's JSON; `@azure/web-pubsub-express` puts them into base64 and back. */
export type EncodedState = z.infer<typeof Encoded>;

/** The state as the members of its JSON object. Members that are not there are left undefined, so that they vanish. */
export function encodeState(state: ConnectionState): EncodedState {
  return {
    v: state.version,
    n: state.nickname,
    x: state.expiresAt,
    d: state.device,
    o: state.order,
    c: state.connectedAt,
    s: state.subscriptions.size === 0 ? undefined : [...state.subscriptions],
  };
}

/** The state of a user event; nothing when it is not one of ours. The signature has vouched for it. */
export function decodeState(encoded: unknown): ConnectionState | undefined {
  const result = Encoded.safeParse(encoded);
  if (!result.success) return undefined;
  const { v, n, x, d, o, c, s } = result.data;
  return {
    ...(v === undefined ? {} : { version: v }),
    ...(n === undefined ? {} : { nickname: n }),
    expiresAt: x,
    ...(d === undefined ? {} : { device: d }),
    ...(o === undefined ? {} : { order: o }),
    ...(c === undefined ? {} : { connectedAt: c }),
    subscriptions: new Map(s ?? []),
  };
}

/** Whether the state still fits in its header. */
export function fits(state: ConnectionState): boolean {
  return Math.ceil(Buffer.byteLength(JSON.stringify(encodeState(state))) / 3) * 4 <= STATE_BYTES;
}
