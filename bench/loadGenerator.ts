import type WebSocket from "ws";
import { openSocket } from "./socket.js";
import { until } from "./target.js";

/** What one member's socket has received and sent. */
interface Member {
  readonly socket: WebSocket;
  readonly roomId: number;
  readonly userId: number;
  lastSeq: number;
  lastMessageId: number;
  /**
   * The `seq` of the member's furthest read, and of the member's latest message, which reads the room too.
   */
  readSeq: number;
  ownSeq: number;
  /** Each user's furthest position by the `/read` frames. Only one member of a room keeps them. */
  readonly shown: Map<number, number> | undefined;
}

/** How another service is spoken to. */
export interface Wire {
  /** A socket of a member, subscribed to the room. */
  open(roomId: number): Promise<WebSocket>;
  /** The room's message with this number, counted from 1, and this id. */
  frame(roomId: number, seq: number, id: number, content: string): string;
}

export interface Load {
  readonly rooms: readonly { readonly roomId: number; readonly tokens: readonly string[] }[];
  readonly webPubSub: string;
  /** In place of ours. */
  readonly wire?: Wire;
  /** Members also subscribe to their room's `/read`, under the next id. */
  readonly reads?: boolean;
  /** Members take several frames in one WebSocket message. */
  readonly packed?: boolean;
}

/** How far a member must have read a room, judging by the frames that the member sent. */
export interface Position {
  readonly roomId: number;
  readonly userId: number;
  readonly seq: number;
}

/** The result of an open-loop run at one rate. Latencies are from SEND to each delivery, in milliseconds. */
export interface RunResult {
  readonly rate: number;
  readonly seconds: number;
  readonly sent: number;
  readonly delivered: number;
  readonly expected: number;
  readonly lost: number;
  readonly repeated: number;
  readonly disordered: number;
  readonly errors: number;
  readonly reads: ReadCounts;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** p50 of the last third divided by that of the first: well above 1 when a queue grows. */
  readonly growth: number;
  readonly deliveredPerSecond: number;
  /** Of the messages that were sent in each second. */
  readonly p99BySecond: readonly number[];
}

export interface ReadCounts {
  /** Reads that members sent. Each is of a message that was new to the member. */
  readonly sent: number;
  /**
   * What came on `/read`, summed over the members: WebSocket messages, the frames and the moved positions in
   * them, bytes.
   */
  readonly arrivals: number;
  readonly frames: number;
  readonly moves: number;
  readonly bytes: number;
}

const TICK_MS = 5;
const JOINS_AT_ONCE = 50;
const DRAIN_MS = 15_000;
const STORM_MS = 60_000;
/** A frame's headers end within this many characters. */
const HEADER_CHARACTERS = 200;
const MOVE =
  /"userId":(\d+),"lastReadMessageId":\d+,"previousLastReadMessageId":(?:\d+|null),"lastReadSeq":(\d+)/g;
const FILLER = "x".repeat(80);

/**
 * Members of rooms on bare WebSockets. Each subscribes to its room under the id that stock clients choose.
 */
export class LoadGenerator {
  readonly #members: Member[] = [];
  readonly #roomSize: number;
  readonly #wire: Wire | undefined;
  /** How many messages each room has had: another service does not number them. */
  readonly #counts = new Map<number, number>();
  #sentAt = new Float64Array(0);
  #latencies = new Float64Array(0);
  #latencyOf = new Int32Array(0);
  #delivered = 0;
  #repeated = 0;
  #disordered = 0;
  #errors = 0;
  #next = 0;
  #nextReader = 0;
  #senders: (Member | undefined)[] = [];
  #readsOnArrival = false;
  #reads = { sent: 0, arrivals: 0, frames: 0, moves: 0, bytes: 0 };
  /** Ids are new in each run: the service would take a message with an old id for a repeat. */
  #firstId = 0;

  private constructor(roomSize: number, wire: Wire | undefined) {
    this.#roomSize = roomSize;
    this.#wire = wire;
  }

  static async connect({ rooms, ...load }: Load): Promise<LoadGenerator> {
    const generator = new LoadGenerator(rooms[0]?.tokens.length ?? 0, load.wire);
    for (const { roomId, tokens } of rooms)
      for (let first = 0; first < tokens.length; first += JOINS_AT_ONCE)
        await Promise.all(
          tokens
            .slice(first, first + JOINS_AT_ONCE)
            .map((token, index) => generator.#join(load, token, roomId, first + index === 0)),
        );
    return generator;
  }

  async #join(
    { webPubSub, reads = false, packed = false }: Omit<Load, "rooms">,
    token: string,
    roomId: number,
    watches: boolean,
  ): Promise<void> {
    const destinations = [`/sub/chat/room/${roomId}`, ...(reads ? [`/sub/chat/room/${roomId}/read`] : [])];
    const socket = await (this.#wire
      ? this.#wire.open(roomId)
      : openSocket(`${webPubSub}?token=${token}`, destinations, packed));
    const shown = reads && watches ? new Map<number, number>() : undefined;
    const places = { lastSeq: 0, lastMessageId: 0, readSeq: 0, ownSeq: 0 };
    const member: Member = { socket, roomId, userId: userOf(token), shown, ...places };
    socket.on("message", (data: Buffer) => this.#take(member, data.toString("latin1")));
    socket.on("error", () => {});
    this.#members.push(member);
  }

  /** Reads only what is counted: a full parse of every frame would take the servers' share of the machine. */
  #take(member: Member, text: string): void {
    const now = performance.now();
    if (text.startsWith("ERROR")) this.#errors += 1;
    if (text.slice(0, HEADER_CHARACTERS).includes("/read\n")) this.#takeReads(member, text);
    for (let at = text.indexOf('"seq":'); at !== -1; at = text.indexOf('"seq":', at + 6)) {
      const seq = Number.parseInt(text.slice(at + 6, at + 20), 10);
      // Another service promises no order between senders.
      if (this.#wire) member.lastSeq = seq - 1;
      if (member.lastSeq !== 0 && seq <= member.lastSeq) this.#repeated += 1;
      else if (member.lastSeq !== 0 && seq !== member.lastSeq + 1) this.#disordered += 1;
      if (seq > member.lastSeq) {
        member.lastSeq = seq;
        member.lastMessageId = Number.parseInt(text.slice(text.lastIndexOf('"messageId":', at) + 12, at), 10);
      }
      const id = text.indexOf('"clientMessageId":', at) + 18;
      const index = Number.parseInt(text.slice(id, id + 12), 10) - this.#firstId;
      const sentAt = this.#sentAt[index];
      if (sentAt === undefined || this.#delivered >= this.#latencies.length) continue;
      if (this.#senders[index] === member) member.ownSeq = seq;
      this.#latencies[this.#delivered] = now - sentAt;
      this.#latencyOf[this.#delivered] = index;
      this.#delivered += 1;
    }
    if (this.#readsOnArrival && hasNews(member)) this.#read(member);
  }

  #takeReads(member: Member, text: string): void {
    this.#reads.arrivals += 1;
    this.#reads.frames += count(text, "MESSAGE\n");
    this.#reads.moves += count(text, '"userId":');
    this.#reads.bytes += text.length;
    for (const [, user, seq] of member.shown ? text.matchAll(MOVE) : [])
      member.shown?.set(Number(user), Math.max(Number(seq), member.shown.get(Number(user)) ?? 0));
  }

  /**
   * Sends at one rate (messages a second) and reads at another. Neither waits for anything. Then waits until
   * all messages have arrived or 15 s have passed.
   */
  async run(rate: number, seconds: number, readRate = 0): Promise<RunResult> {
    const count = Math.round(rate * seconds);
    this.#begin(count);
    const start = performance.now();
    let reads = 0;
    for (let sent = 0; sent < count; await new Promise((resolve) => setTimeout(resolve, TICK_MS))) {
      const elapsed = Math.min(seconds, (performance.now() - start) / 1_000);
      for (; sent < Math.floor(elapsed * rate); sent += 1) this.#send(sent);
      for (; reads < Math.floor(elapsed * readRate); reads += 1) this.#readNext();
    }
    const expected = count * this.#roomSize;
    await until(() => this.#delivered >= expected, DRAIN_MS);
    return this.#result(rate, (performance.now() - start) / 1_000, count, expected);
  }

  /**
   * Sends one message, which every other member reads as soon as it arrives. Resolves when all members have
   * seen all of the reads, or after 60 s.
   */
  async storm(): Promise<{
    readonly reads: ReadCounts;
    readonly seconds: number;
    readonly complete: boolean;
  }> {
    this.#begin(1);
    this.#readsOnArrival = true;
    const start = performance.now();
    this.#send(0);
    const complete = await until(() => this.#delivered === this.#roomSize && this.shownAll(), STORM_MS);
    this.#readsOnArrival = false;
    const seconds = (performance.now() - start) / 1_000;
    // The member that keeps the positions may have heard of the last read before the others.
    await new Promise((resolve) => setTimeout(resolve, 500));
    return { reads: { ...this.#reads }, seconds, complete };
  }

  /** The positions that members must have, judging by the frames that they sent. */
  positions(): readonly Position[] {
    return this.#members.map(({ roomId, userId, readSeq, ownSeq }) => ({
      roomId,
      userId,
      seq: Math.max(readSeq, ownSeq),
    }));
  }

  /**
   * Whether the `/read` frames have shown every read, except those that a later message of the reader covers.
   */
  shownAll(): boolean {
    const shown = new Map(
      this.#members.flatMap((one) => (one.shown ? [[one.roomId, one.shown] as const] : [])),
    );
    return this.#members.every(
      ({ roomId, userId, readSeq, ownSeq }) =>
        readSeq <= ownSeq || shown.get(roomId)?.get(userId) === readSeq,
    );
  }

  #begin(count: number): void {
    this.#firstId += 1_000_000;
    this.#sentAt = new Float64Array(count);
    this.#senders = new Array<Member | undefined>(count);
    this.#latencies = new Float64Array(count * this.#roomSize * 2);
    this.#latencyOf = new Int32Array(count * this.#roomSize * 2);
    this.#delivered = this.#repeated = this.#disordered = this.#errors = 0;
    this.#reads = { sent: 0, arrivals: 0, frames: 0, moves: 0, bytes: 0 };
  }

  /** Makes the next member with an unread message read it. */
  #readNext(): void {
    for (let tries = 0; tries < this.#members.length; tries += 1) {
      const next = this.#nextReader++ * (this.#roomSize + 1);
      const member = this.#members[next % this.#members.length] as Member;
      if (!hasNews(member)) continue;
      this.#read(member);
      return;
    }
  }

  #read(member: Member): void {
    const body = `{"roomId":${member.roomId},"messageId":${member.lastMessageId}}`;
    member.socket.send(`SEND\ndestination:/pub/chat/read\ncontent-length:${body.length}\n\n${body}\0`);
    member.readSeq = member.lastSeq;
    this.#reads.sent += 1;
  }

  #send(index: number): void {
    // Rooms send in turn, and in each room its members do.
    const member = this.#members[(this.#next++ * (this.#roomSize + 1)) % this.#members.length] as Member;
    this.#senders[index] = member;
    const { roomId } = member;
    const seq = (this.#counts.get(roomId) ?? 0) + 1;
    this.#counts.set(roomId, seq);
    const frame = (this.#wire?.frame ?? ownFrame)(roomId, seq, this.#firstId + index, FILLER);
    this.#sentAt[index] = performance.now();
    member.socket.send(frame);
  }

  #result(rate: number, seconds: number, sent: number, expected: number): RunResult {
    const latencies = this.#latencies.slice(0, this.#delivered);
    /** Of the messages from one place in the order of sending to another. */
    const between = (from: number, to: number, part: number): number =>
      percentile(
        latencies.filter((_, i) => this.#latencyOf[i]! >= from && this.#latencyOf[i]! < to),
        part,
      );
    return {
      rate,
      seconds,
      sent,
      delivered: this.#delivered,
      expected,
      lost: Math.max(0, expected - this.#delivered + this.#repeated),
      repeated: this.#repeated,
      disordered: this.#disordered,
      errors: this.#errors,
      reads: { ...this.#reads },
      p50: percentile(latencies, 0.5),
      p99: percentile(latencies, 0.99),
      max: percentile(latencies, 1),
      growth: between((2 / 3) * sent, sent, 0.5) / between(0, (1 / 3) * sent, 0.5),
      deliveredPerSecond: this.#delivered / seconds,
      p99BySecond: Array.from({ length: Math.ceil(sent / rate) }, (_, second) =>
        between(second * rate, (second + 1) * rate, 0.99),
      ),
    };
  }

  async close(): Promise<void> {
    for (const { socket } of this.#members) socket.terminate();
  }
}

/** The service numbers the messages itself. */
function ownFrame(roomId: number, _seq: number, id: number, content: string): string {
  const body = `{"roomId":${roomId},"content":"${content}","clientMessageId":${id}}`;
  return `SEND\ndestination:/pub/chat/message\ncontent-length:${body.length}\n\n${body}\0`;
}

export function percentile(values: Float64Array, part: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = values.slice().sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] as number;
}

const hasNews = ({ lastSeq, readSeq, ownSeq }: Member): boolean => lastSeq > Math.max(readSeq, ownSeq);

function count(text: string, part: string): number {
  let found = 0;
  for (let at = text.indexOf(part); at !== -1; at = text.indexOf(part, at + part.length)) found += 1;
  return found;
}

/** The `sub` of a JWT. */
function userOf(token: string): number {
  const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as {
    sub: string;
  };
  return Number(claims.sub);
}
