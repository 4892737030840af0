import type { Event, Line, Seen } from "../clients/history.js";
import type { Stored, StoredMessage, StoredRoom } from "./stored.js";

export type LineOf<Kind extends Event["kind"]> = Extract<Line, { readonly kind: Kind }>;

/** One message that a client wanted to send, and what it heard of it. */
export interface Send {
  readonly room: number;
  readonly user: number;
  readonly id: string;
  readonly hash: string;
  readonly client: string;
  readonly tries: { readonly at: number; readonly connection: number }[];
  readonly accepted: number[];
  readonly refused: { readonly at: number; readonly code: string }[];
}

/** A membership that changed at a moment between `start` and `end`; perhaps, where it has no end. */
export interface Change {
  readonly room: number;
  readonly user: number;
  readonly to: "in" | "out";
  readonly start: number;
  readonly end: number;
}

export interface MadeRoom {
  readonly room: number;
  readonly group: boolean;
  readonly members: ReadonlySet<number>;
  readonly at: number;
}

/** A message as a client saw it, between two moments. */
export interface Sight {
  readonly seen: Seen;
  readonly user: number;
  readonly client: string;
  readonly from: number;
  readonly to: number;
  readonly how: "live" | "history" | "final";
}

/** A call and its answer. */
export interface Called {
  readonly call: LineOf<"call">;
  readonly answer: LineOf<"answer"> | undefined;
}

/** All that a run left: the histories, in order of time, what they lead to, and the database. */
export interface Run {
  readonly lines: readonly Line[];
  readonly stored: Stored;
  /** Of rooms that this run made. */
  readonly rooms: ReadonlyMap<number, MadeRoom>;
  readonly users: readonly number[];
  /** By `keyOf`. */
  readonly sends: ReadonlyMap<string, Send>;
  readonly changes: readonly Change[];
  readonly calls: readonly Called[];
  readonly sights: readonly Sight[];
  readonly quiet: LineOf<"quiet"> | undefined;
  /** Whether nothing was disturbed: then nothing may be shown that only a failure excuses. */
  readonly isCalm: boolean;
}

export const keyOf = (room: number, user: number, id: string): string => `${room} ${user} ${id}`;

export const of = <Kind extends Event["kind"]>(lines: readonly Line[], kind: Kind): LineOf<Kind>[] =>
  lines.filter((line): line is LineOf<Kind> => line.kind === kind);

export function runOf(history: readonly Line[], stored: Stored): Run {
  const lines = [...history].sort((one, other) => one.at - other.at);
  const calls = callsOf(lines);
  return {
    lines,
    stored,
    rooms: new Map(
      of(lines, "room").map(({ room, group, members, at }) => [
        room,
        { room, group, members: new Set(members), at },
      ]),
    ),
    users: [...new Set(lines.map(({ user }) => user))],
    sends: sendsOf(lines),
    changes: changesOf(lines),
    calls,
    sights: sightsOf(lines, calls),
    quiet: of(lines, "quiet").at(-1),
    isCalm: of(lines, "calm").length > 0,
  };
}

function sendsOf(lines: readonly Line[]): Map<string, Send> {
  const sends = new Map<string, Send>();
  for (const { room, user, id, hash, client, at, connection } of of(lines, "send")) {
    const send = sends.get(keyOf(room, user, id));
    if (send) send.tries.push({ at, connection });
    else
      sends.set(keyOf(room, user, id), {
        ...{ room, user, id, hash, client },
        tries: [{ at, connection }],
        accepted: [],
        refused: [],
      });
  }
  for (const { room, user, id, at } of of(lines, "accepted"))
    sends.get(keyOf(room, user, id))?.accepted.push(at);
  for (const { room, user, id, at, code } of of(lines, "refused"))
    sends.get(keyOf(room, user, id))?.refused.push({ at, code });
  return sends;
}

function changesOf(lines: readonly Line[]): Change[] {
  const ends = new Map(of(lines, "changed").map(({ change, at }) => [change, at]));
  return of(lines, "changing").map(({ change, room, target, to, at }) => ({
    ...{ room, user: target, to, start: at },
    end: ends.get(change) ?? Number.POSITIVE_INFINITY,
  }));
}

function callsOf(lines: readonly Line[]): Called[] {
  const answers = new Map(of(lines, "answer").map((answer) => [answer.call, answer]));
  return of(lines, "call").map((call) => ({ call, answer: answers.get(call.call) }));
}

function sightsOf(lines: readonly Line[], calls: readonly Called[]): Sight[] {
  const live = of(lines, "message").map(
    (seen): Sight => ({ seen, user: seen.user, client: seen.client, from: 0, to: seen.at, how: "live" }),
  );
  const pages = calls.flatMap(({ call, answer }) =>
    (answer?.messages ?? []).map(
      (seen): Sight => ({
        ...{ seen, user: call.user, client: call.client, from: call.at, to: answer?.at ?? call.at },
        how: call.final ? "final" : "history",
      }),
    ),
  );
  return [...live, ...pages];
}

/** Of each room that this run made: its messages in order, and its row. */
export function roomsStored(
  run: Run,
): { row: StoredRoom | undefined; messages: StoredMessage[]; room: number }[] {
  const rows = new Map(run.stored.rooms.map((row) => [row.room, row]));
  const messages = new Map<number, StoredMessage[]>([...run.rooms.keys()].map((room) => [room, []]));
  for (const message of run.stored.messages) messages.get(message.room)?.push(message);
  return [...messages].map(([room, list]) => ({ room, row: rows.get(room), messages: list }));
}

export const isSystem = ({ type }: { readonly type: string }): boolean => type.startsWith("SYSTEM_");
