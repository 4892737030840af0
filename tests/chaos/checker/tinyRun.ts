import type { Event, Line, Seen } from "../clients/history.js";
import type { Stored, StoredMessage } from "./stored.js";

/** What a test may change of a run. */
export interface Draft {
  lines: Line[];
  stored: {
    messages: StoredMessage[];
    rooms: Stored["rooms"][number][];
    members: Stored["members"][number][];
    outboxes: { membership: number; reads: number };
    keys: Map<number, number>;
    subscriptionIds: { destination: string; id: string }[];
  };
}

export const ROOM = 5;

const line = (at: number, client: string, event: Event): Line => ({
  at,
  client,
  user: Number(client.split("-")[0]),
  ...event,
});

const MESSAGES: readonly StoredMessage[] = [
  { sender: 1, id: '"a"', type: "TEXT", hash: "A", targets: [], uncounted: 0 },
  { sender: 1, id: "null", type: "SYSTEM_INVITE", hash: "I", targets: [3], uncounted: 1 },
  { sender: 1, id: '"b"', type: "TEXT", hash: "B", targets: [], uncounted: 1 },
  { sender: 1, id: "7", type: "TEXT", hash: "C", targets: [], uncounted: 1 },
  { sender: 1, id: "null", type: "SYSTEM_KICK", hash: "K", targets: [3], uncounted: 2 },
].map((message, index) => ({ room: ROOM, seq: index + 1, messageId: 101 + index, ...message }));

/** How many have not read each message when it is shown, and at the end. */
const SHOWN_UNREAD = [1, 0, 2, 2, 0];
const LAST_UNREAD = [0, 0, 1, 1, 0];

const seen = (seq: number, unreads: readonly number[]): Seen => {
  const { room, messageId, sender, id, type, hash } = MESSAGES[seq - 1]!;
  return { room, seq, messageId, sender, id, type, hash, unread: unreads[seq - 1]! };
};

/** A MESSAGE frame at a client, on its first connection. */
export const shows = (at: number, client: string, seq: number): Line =>
  line(at, client, { kind: "message", connection: 1, gap: false, ...seen(seq, SHOWN_UNREAD) });

export const sends = (at: number, client: string, id: string, hash: string): Line =>
  line(at, client, { kind: "send", connection: 1, room: ROOM, id, hash });

export const accepts = (at: number, client: string, id: string): Line =>
  line(at, client, { kind: "accepted", connection: 1, room: ROOM, id });

export const refuses = (at: number, client: string, id: string): Line =>
  line(at, client, { kind: "refused", room: ROOM, id, code: "NOT_A_MEMBER" });

export const subscribes = (at: number, client: string, lastSeq: number | null, guest = false): Line[] => [
  line(at, client, { kind: "subscribe", connection: 1, room: ROOM, lastSeq, guest }),
  line(at + 0.1, client, { kind: "subscribed", connection: 1, room: ROOM, guest }),
];

export const changes = (at: number, change: number, target: number, to: "in" | "out"): Line[] => [
  line(at, "1-calls", { kind: "changing", change, room: ROOM, target, to }),
  line(at + 1, "1-calls", { kind: "changed", change }),
];

type Answered = Pick<Extract<Event, { kind: "answer" }>, "status" | "rooms" | "messages">;
type Call = Extract<Event, { kind: "call" }>;

let calls = 0;

export function asks(at: number, user: number, call: Partial<Call>, answer: Answered): Line[] {
  const number = ++calls;
  const asked: Call = {
    ...{ kind: "call", call: number, asked: "list", room: ROOM, after: 0, key: null, final: false },
    ...call,
  };
  return [
    line(at, `${user}-calls`, { ...asked, call: number }),
    line(at + 0.2, `${user}-calls`, { kind: "answer", call: number, ...answer }),
  ];
}

export const lists = (at: number, user: number, unread: number, final: boolean): Line[] =>
  asks(
    at,
    user,
    { asked: "list", final },
    { status: 200, rooms: [{ room: ROOM, unread, members: 2, last: 5 }] },
  );

export const reads = (at: number, user: number, final = true): Line[] => {
  const messages = [1, 2, 3, 4, 5].map((seq) => seen(seq, LAST_UNREAD));
  return asks(at, user, { asked: "history", final }, { status: 200, messages });
};

/**
 * A run without a fault: user 1 makes a group with user 2, writes, takes in user 3, writes twice, removes user 3,
 * who then tries to write. User 2 reads the first message.
 */
export function tinyRun(): Draft {
  const all = [
    ...["1-0", "2-0", "3-0"].map((client) => line(1, client, { kind: "connected", connection: 1 })),
    ...asks(5, 1, { asked: "create", key: "k-1" }, { status: 201 }),
    line(10, "1-calls", { kind: "room", room: ROOM, group: true, members: [1, 2] }),
    ...subscribes(11, "1-0", 0),
    ...subscribes(13, "2-0", null),
    ...[sends(20, "1-0", '"a"', "A"), accepts(21, "1-0", '"a"'), shows(22, "1-0", 1), shows(23, "2-0", 1)],
    line(30, "2-0", { kind: "readTry", read: 1, room: ROOM, seq: 1 }),
    line(31, "2-0", { kind: "readAccepted", read: 1 }),
    line(32, "1-0", { kind: "moved", room: ROOM, reader: 2, from: 0, to: 1 }),
    ...asks(35, 1, { asked: "invite", key: "k-2" }, { status: 200 }),
    ...changes(35, 1, 3, "in"),
    ...[...subscribes(37, "3-0", 0), shows(38, "1-0", 2), shows(38, "2-0", 2), shows(38, "3-0", 2)],
    ...[sends(40, "1-0", '"b"', "B"), sends(41, "1-0", "7", "C")],
    ...[accepts(42, "1-0", '"b"'), accepts(43, "1-0", "7")],
    ...["1-0", "2-0", "3-0"].flatMap((client) => [shows(44, client, 3), shows(45, client, 4)]),
    ...[...changes(50, 2, 3, "out"), shows(52, "1-0", 5), shows(52, "2-0", 5)],
    ...[sends(53, "3-0", '"d"', "D"), refuses(54, "3-0", '"d"')],
    ...lists(60, 2, 2, false),
    line(70, "1-calls", { kind: "quiet", missing: [] }),
    ...[...lists(71, 1, 0, true), ...reads(72, 1), ...lists(73, 2, 2, true), ...reads(74, 2)],
  ];
  return { lines: all, stored: storedOfTiny() };
}

const storedOfTiny = (): Draft["stored"] => ({
  messages: MESSAGES.map((message) => ({ ...message })),
  rooms: [{ room: ROOM, group: true, lastSeq: 5, lastMessageId: 105, lastUncounted: 2, memberCount: 2 }],
  members: [
    { room: ROOM, user: 1, joinedSeq: 0, readSeq: 5, readMessageId: 105 },
    { room: ROOM, user: 2, joinedSeq: 0, readSeq: 1, readMessageId: 101 },
  ],
  outboxes: { membership: 0, reads: 0 },
  keys: new Map([[1, 2]]),
  subscriptionIds: [],
});
