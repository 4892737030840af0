import WebSocket from "ws";

/** What one member's socket has seen. */
interface Member {
  readonly socket: WebSocket;
  readonly roomIndex: number;
  readonly roomId: number;
  lastSeq: number;
}

export interface Load {
  readonly rooms: readonly { readonly roomId: number; readonly tokens: readonly string[] }[];
  readonly webPubSub: string;
}

/** What an open-loop run at one rate saw. Latencies are from SEND to each delivery, in milliseconds. */
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
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** p50 of the last third over that of the first: well above 1 when a queue grows. */
  readonly growth: number;
  readonly deliveredPerSecond: number;
}

const TICK_MS = 5;
const DRAIN_MS = 15_000;
const FILLER = "x".repeat(80);

/** Members of rooms on bare WebSockets, each subscribed to its room under the id that stock clients choose. */
export class LoadGenerator {
  readonly #members: Member[] = [];
  readonly #roomSize: number;
  #sentAt = new Float64Array(0);
  #latencies = new Float64Array(0);
  #latencyOf = new Int32Array(0);
  #delivered = 0;
  #repeated = 0;
  #disordered = 0;
  #errors = 0;
  #next = 0;
  /** Ids are new in each run: a repeated one would be taken for a repeat. */
  #firstId = 0;

  private constructor(roomSize: number) {
    this.#roomSize = roomSize;
  }

  static async connect({ rooms, webPubSub }: Load): Promise<LoadGenerator> {
    const generator = new LoadGenerator(rooms[0]?.tokens.length ?? 0);
    for (const [roomIndex, { roomId, tokens }] of rooms.entries())
      await Promise.all(tokens.map((token) => generator.#join(webPubSub, token, roomId, roomIndex)));
    return generator;
  }

  async #join(webPubSub: string, token: string, roomId: number, roomIndex: number): Promise<void> {
    const socket = new WebSocket(`${webPubSub}?token=${token}`, ["v12.stomp"]);
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.once("open", () => socket.send("CONNECT\naccept-version:1.2\nhost:chat\n\n\0"));
      socket.on("message", function ready(data: Buffer) {
        const text = data.toString();
        if (text.startsWith("CONNECTED"))
          socket.send(`SUBSCRIBE\nid:sub-0\ndestination:/sub/chat/room/${roomId}\nreceipt:s\n\n\0`);
        else if (text.startsWith("RECEIPT")) {
          socket.off("message", ready);
          resolve();
        } else reject(new Error(text));
      });
    });
    const member = { socket, roomIndex, roomId, lastSeq: 0 };
    socket.on("message", (data: Buffer) => this.#take(member, data.toString("latin1")));
    socket.on("error", () => {});
    this.#members.push(member);
  }

  /** Reads just what it counts: a full parse of every frame would take the servers' share of the machine. */
  #take(member: Member, text: string): void {
    const now = performance.now();
    if (text.startsWith("ERROR")) this.#errors += 1;
    for (let at = text.indexOf('"seq":'); at !== -1; at = text.indexOf('"seq":', at + 6)) {
      const seq = Number.parseInt(text.slice(at + 6, at + 20), 10);
      if (member.lastSeq !== 0 && seq <= member.lastSeq) this.#repeated += 1;
      else if (member.lastSeq !== 0 && seq !== member.lastSeq + 1) this.#disordered += 1;
      member.lastSeq = Math.max(seq, member.lastSeq);
      const id = text.indexOf('"clientMessageId":', at) + 18;
      const index = Number.parseInt(text.slice(id, id + 12), 10) - this.#firstId;
      const sentAt = this.#sentAt[index];
      if (sentAt === undefined || this.#delivered >= this.#latencies.length) continue;
      this.#latencies[this.#delivered] = now - sentAt;
      this.#latencyOf[this.#delivered] = index;
      this.#delivered += 1;
    }
  }

  /** Sends at a rate (messages a second) that does not wait for anything, then waits until all has arrived or 15 s have passed. */
  async run(rate: number, seconds: number): Promise<RunResult> {
    const count = Math.round(rate * seconds);
    this.#firstId += 1_000_000;
    this.#sentAt = new Float64Array(count);
    this.#latencies = new Float64Array(count * this.#roomSize * 2);
    this.#latencyOf = new Int32Array(count * this.#roomSize * 2);
    this.#delivered = this.#repeated = this.#disordered = this.#errors = 0;
    const start = performance.now();
    for (let sent = 0; sent < count; await new Promise((resolve) => setTimeout(resolve, TICK_MS))) {
      const due = Math.min(count, Math.floor(((performance.now() - start) / 1_000) * rate));
      for (; sent < due; sent += 1) this.#send(sent);
    }
    const expected = count * this.#roomSize;
    const end = performance.now() + DRAIN_MS;
    while (this.#delivered < expected && performance.now() < end)
      await new Promise((resolve) => setTimeout(resolve, 20));
    return this.#result(rate, (performance.now() - start) / 1_000, count, expected);
  }

  #send(index: number): void {
    // Rooms in turn, and in each room its members in turn.
    const member = this.#members[(this.#next++ * (this.#roomSize + 1)) % this.#members.length] as Member;
    const body = `{"roomId":${member.roomId},"content":"${FILLER}","clientMessageId":${this.#firstId + index}}`;
    this.#sentAt[index] = performance.now();
    member.socket.send(`SEND\ndestination:/pub/chat/message\ncontent-length:${body.length}\n\n${body}\0`);
  }

  #result(rate: number, seconds: number, sent: number, expected: number): RunResult {
    const latencies = this.#latencies.slice(0, this.#delivered);
    const third = (from: number, to: number): number =>
      percentile(
        latencies.filter((_, i) => this.#latencyOf[i]! >= from * sent && this.#latencyOf[i]! < to * sent),
        0.5,
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
      p50: percentile(latencies, 0.5),
      p99: percentile(latencies, 0.99),
      max: percentile(latencies, 1),
      growth: third(2 / 3, 1) / third(0, 1 / 3),
      deliveredPerSecond: this.#delivered / seconds,
    };
  }

  async close(): Promise<void> {
    for (const { socket } of this.#members) socket.terminate();
  }
}

function percentile(values: Float64Array, part: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = values.slice().sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] as number;
}
