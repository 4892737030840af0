import { type Change, isSystem, keyOf, of, type Run, roomsStored, type Send } from "./run.js";
import type { StoredMessage } from "./stored.js";
import { Timeline, upTo } from "./timeline.js";

/** What can be proved of a membership over a span of time. */
export type Membership = "in" | "out" | "either";

interface RoomProofs {
  readonly messages: readonly StoredMessage[];
  /** By when a message was shown to anybody: it was stored before. */
  readonly seen: Timeline;
  /** When a message can have been stored at the earliest, with all before it; by seq, ascending. */
  readonly origins: readonly number[];
  /** How many messages count as unread, up to each seq. */
  readonly counted: readonly number[];
}

const empty = new Timeline([]);

/**
 * What the histories prove, whatever happened between a request and its answer: bounds on what was stored and
 * read at a moment, and who was a member.
 */
export class Proofs {
  readonly #rooms: ReadonlyMap<number, RoomProofs>;
  readonly #firstSeen = new Map<string, number>();
  readonly #changes = new Map<string, Change[]>();
  readonly #tried = new Map<string, Timeline>();
  readonly #proven = new Map<string, Timeline>();

  constructor(private readonly run: Run) {
    for (const { seen, to } of run.sights) {
      const key = `${seen.room} ${seen.seq}`;
      this.#firstSeen.set(key, Math.min(to, this.#firstSeen.get(key) ?? to));
    }
    this.#rooms = new Map(roomsStored(run).map(({ room, messages }) => [room, this.#proofsOf(messages)]));
    for (const change of run.changes) pushTo(this.#changes, place(change.room, change.user), change);
    this.#gatherReads();
  }

  /** When the message was first seen by anybody. */
  firstSeen(room: number, seq: number): number {
    return this.#firstSeen.get(`${room} ${seq}`) ?? Number.POSITIVE_INFINITY;
  }

  send({ room, sender, id }: StoredMessage): Send | undefined {
    return this.run.sends.get(keyOf(room, sender, id));
  }

  changesOf(room: number, user: number): readonly Change[] {
    return this.#changes.get(place(room, user)) ?? [];
  }

  /** What the user was in the room, at every moment of the span. */
  membership(room: number, user: number, from: number, to: number): Membership {
    const changes = this.changesOf(room, user);
    if (changes.some(({ start, end }) => start <= to && end >= from)) return "either";
    const last = changes.filter(({ end }) => end < from).at(-1);
    const made = this.run.rooms.get(room);
    if (!last && made && made.at > from) return made.members.has(user) ? "either" : "out";
    return last?.to ?? (made?.members.has(user) ? "in" : "out");
  }

  /** The least last seq that the room had at this moment. */
  storedBy(room: number, time: number): number {
    return this.#rooms.get(room)?.seen.by(time) ?? 0;
  }

  /** The greatest last seq that it can have had. */
  possibleBy(room: number, time: number): number {
    return upTo(this.#rooms.get(room)?.origins ?? [], time);
  }

  /** How many messages that count as unread stand behind `after`, up to `last`. */
  counted(room: number, after: number, last: number): number {
    const counted = this.#rooms.get(room)?.counted ?? [];
    const to = Math.min(last, counted.length - 1);
    return to <= after ? 0 : (counted[to] ?? 0) - (counted[after] ?? 0);
  }

  /** The seq up to which the user has certainly read at this moment. */
  readBy(room: number, user: number, time: number): number {
    return (this.#proven.get(place(room, user)) ?? empty).by(time);
  }

  /** The seq up to which the user can have read. */
  readAtMost(room: number, user: number, time: number): number {
    const joins = this.changesOf(room, user).filter(({ to, start }) => to === "in" && start <= time);
    const joined = joins.map(({ end }) => this.possibleBy(room, Math.min(end, time)));
    return Math.max((this.#tried.get(place(room, user)) ?? empty).by(time), 0, ...joined);
  }

  #proofsOf(messages: readonly StoredMessage[]): RoomProofs {
    let [origin, count] = [0, 0];
    const counted = [0];
    const starts = announcementStarts(messages, this.run.changes);
    const origins = messages.map((message) => {
      origin = Math.max(origin, this.send(message)?.tries[0]?.at ?? starts.get(message.seq) ?? 0);
      count += isSystem(message) ? 0 : 1;
      counted.push(count);
      return origin;
    });
    const seen = messages.map(({ room, seq }) => ({ at: this.firstSeen(room, seq), value: seq }));
    return { messages, seen: new Timeline(seen), origins, counted };
  }

  /** Reads that were tried or proved, and messages, announcements too: a sender reads the room up to them. */
  #gatherReads(): void {
    const tried = new Map<string, { at: number; value: number }[]>();
    const proven = new Map<string, { at: number; value: number }[]>();
    for (const { room, user, seq, at } of of(this.run.lines, "readTry"))
      pushTo(tried, place(room, user), { at, value: seq });
    for (const { room, reader, to, at } of of(this.run.lines, "moved"))
      pushTo(proven, place(room, reader), { at, value: to });
    for (const message of this.run.stored.messages) {
      const { room, sender, seq } = message;
      pushTo(tried, place(room, sender), { at: this.send(message)?.tries[0]?.at ?? 0, value: seq });
      pushTo(proven, place(room, sender), { at: this.firstSeen(room, seq), value: seq });
    }
    for (const { room, user, to, start, end } of this.run.changes)
      if (to === "in") pushTo(proven, place(room, user), { at: end, value: this.storedBy(room, start) });
    for (const [key, points] of tried) this.#tried.set(key, new Timeline(points));
    for (const [key, points] of proven) this.#proven.set(key, new Timeline(points));
  }
}

/** When the changes were asked for that a room's messages announce, by seq: the first is the first's, and so on. */
function announcementStarts(
  messages: readonly StoredMessage[],
  changes: readonly Change[],
): ReadonlyMap<number, number> {
  const left = [...changes];
  const starts = new Map<number, number>();
  for (const { room, seq, type, targets } of messages.filter(isSystem)) {
    const to = type === "SYSTEM_INVITE" ? "in" : "out";
    const index = left.findIndex(
      (change) => change.room === room && change.to === to && targets.includes(change.user),
    );
    const [change] = index < 0 ? [] : left.splice(index, 1);
    if (change) starts.set(seq, change.start);
  }
  return starts;
}

const place = (room: number, user: number): string => `${room} ${user}`;

function pushTo<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
