import { once } from "node:events";
import { connect, type Socket } from "node:net";

// A bare AMQP 1.0 client: it sends the frames a test says, field by field, and shows the answers as they
// came, with as many fields as they had. It knows nothing of sessions, credit or settling, so that a test can
// do all of it wrong.

export const OPEN = 0x10;
export const BEGIN = 0x11;
export const ATTACH = 0x12;
export const FLOW = 0x13;
export const TRANSFER = 0x14;
export const DISPOSITION = 0x15;
export const DETACH = 0x16;
export const END = 0x17;
export const CLOSE = 0x18;
const MECHANISMS = 0x40;
const INIT = 0x41;
const OUTCOME = 0x44;

const AMQP_HEADER = Buffer.from("AMQP\0\x01\0\0", "latin1");
const SASL_HEADER = Buffer.from("AMQP\x03\x01\0\0", "latin1");

/** An encoded value; what has no class of its own in JavaScript is made by the functions below. */
export type Value = Buffer | null | boolean | string | readonly Value[];

export const uint = (value: number): Buffer => sized(0x70, 4, value);
export const ubyte = (value: number): Buffer => Buffer.from([0x50, value]);
export const long = (value: number): Buffer => {
  const bytes = Buffer.alloc(9, 0x81);
  bytes.writeBigInt64BE(BigInt(value), 1);
  return bytes;
};
export const ulong = (value: number): Buffer => {
  const bytes = Buffer.alloc(9, 0x80);
  bytes.writeBigUInt64BE(BigInt(value), 1);
  return bytes;
};
export const symbol = (value: string): Buffer => variable(0xb3, Buffer.from(value, "latin1"));
export const binary = (value: Buffer): Buffer => variable(0xb0, value);
export const described = (descriptor: Value, value: Value): Buffer =>
  Buffer.concat([Buffer.from([0]), encode(descriptor), encode(value)]);
export const map = (entries: readonly (readonly [Value, Value])[]): Buffer =>
  compound(0xd1, entries.flat() as Value[]);

export const source = (address: Value, filters: Value = null): Buffer =>
  described(ulong(0x28), [address, null, null, null, null, null, null, filters]);
export const target = (address: Value): Buffer => described(ulong(0x29), [address]);
export const ACCEPTED = described(ulong(0x24), []);

function sized(code: number, width: number, value: number): Buffer {
  const bytes = Buffer.alloc(1 + width, code);
  bytes.writeUIntBE(value, 1, width);
  return bytes;
}

const variable = (code: number, value: Buffer): Buffer =>
  Buffer.concat([sized(code, 4, value.length), value]);

function compound(code: number, values: readonly Value[]): Buffer {
  const body = Buffer.concat(values.map(encode));
  return Buffer.concat([sized(code, 4, body.length + 4), uint(values.length).subarray(1), body]);
}

function encode(value: Value): Buffer {
  if (Buffer.isBuffer(value)) return value;
  if (value === null) return Buffer.from([0x40]);
  if (typeof value === "boolean") return Buffer.from([value ? 0x41 : 0x42]);
  if (typeof value === "string") return variable(0xb1, Buffer.from(value));
  return compound(0xd0, value as readonly Value[]);
}

/** A described value as it was read. */
export interface Described {
  readonly descriptor: unknown;
  readonly value: unknown;
}

export interface Frame {
  /** In bytes, all of it. */
  readonly size: number;
  readonly channel: number;
  readonly code: number;
  /** As many as were sent. */
  readonly fields: readonly unknown[];
  readonly payload: Buffer;
}

/** Reads the values of a buffer one after the other. */
class Reader {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  rest(): Buffer {
    return this.#bytes.subarray(this.at);
  }

  next(code = this.#uint(1)): unknown {
    if (code === 0) return { descriptor: this.next(), value: this.next() };
    switch (code >> 4) {
      case 0x4:
        return { 64: null, 65: true, 66: false, 67: 0, 68: 0, 69: [] }[code];
      case 0x5:
        return code === 0x56 ? this.#uint(1) === 1 : this.#uint(1);
      case 0x6:
        return this.#uint(2);
      case 0x7:
        return this.#uint(4);
      case 0x8:
        return Number(this.#take(8).readBigInt64BE());
      case 0xa:
      case 0xb:
        return this.#text(code, this.#uint(code < 0xb0 ? 1 : 4));
      case 0xc:
      case 0xd:
        return this.#compound(code, code < 0xd0 ? 1 : 4);
      default:
        return this.#array(code < 0xf0 ? 1 : 4);
    }
  }

  #text(code: number, length: number): unknown {
    const bytes = this.#take(length);
    return (code & 0xf) === 0 ? bytes : bytes.toString("utf8");
  }

  #compound(code: number, width: number): unknown {
    this.#uint(width);
    const values = Array.from({ length: this.#uint(width) }, () => this.next());
    if ((code & 0xf) === 0) return values;
    const entries = values.flatMap((value, at) => (at % 2 === 0 ? [[value, values[at + 1]]] : []));
    return Object.fromEntries(entries) as unknown;
  }

  #array(width: number): unknown {
    this.#uint(width);
    const count = this.#uint(width);
    const code = this.#uint(1);
    return Array.from({ length: count }, () => this.next(code));
  }

  #uint(width: number): number {
    return this.#take(width).readUIntBE(0, width);
  }

  #take(length: number): Buffer {
    const bytes = this.#bytes.subarray(this.at, this.at + length);
    this.at += length;
    return bytes;
  }
}

/** The values that a message's sections hold, by section code; of data the bytes. */
export function sectionsOf(payload: Buffer): Map<number, unknown> {
  const reader = new Reader(payload);
  const found = new Map<number, unknown>();
  while (reader.at < payload.length) {
    const { descriptor, value } = reader.next() as Described;
    found.set(Number(descriptor), value);
  }
  return found;
}

export class BareClient {
  readonly #socket: Socket;
  readonly #frames: Frame[] = [];
  #unread = Buffer.alloc(0);
  #waiting: (() => void)[] = [];
  #ended = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => {});
    socket.on("data", (bytes) => this.#take(bytes));
    socket.on("close", () => {
      this.#ended = true;
      this.#wake();
    });
  }

  static async connect(port: number): Promise<BareClient> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new BareClient(socket);
  }

  /** The outcome of SASL PLAIN with a key: 0 when it is right. */
  async login(name: string, key: string): Promise<unknown> {
    this.#socket.write(SASL_HEADER);
    const mechanisms = await this.next(MECHANISMS);
    if (!(mechanisms.fields[0] as string[]).includes("PLAIN")) throw new Error("there is no PLAIN");
    this.#write(1, 0, INIT, [symbol("PLAIN"), binary(Buffer.from(`\0${name}\0${key}`))]);
    return (await this.next(OUTCOME)).fields[0];
  }

  /** Opens the connection and a session on channel 0. */
  open(maxFrameSize: number): void {
    this.#socket.write(AMQP_HEADER);
    this.send(OPEN, ["bare", null, uint(maxFrameSize)]);
    this.begin(0);
  }

  begin(channel: number, nextOutgoingId = 0): void {
    this.send(BEGIN, [null, uint(nextOutgoingId), uint(100_000), uint(100_000)], { channel });
  }

  /** Writes a frame; fields that are not given are left out. */
  send(code: number, fields: readonly Value[], more: { channel?: number; payload?: Buffer } = {}): void {
    this.#write(0, more.channel ?? 0, code, fields, more.payload);
  }

  #write(type: number, channel: number, code: number, fields: readonly Value[], payload?: Buffer): void {
    const body = Buffer.concat([described(ulong(code), fields), payload ?? Buffer.alloc(0)]);
    const head = Buffer.from([0, 0, 0, 0, 2, type, channel >> 8, channel & 0xff]);
    head.writeUInt32BE(head.length + body.length);
    this.#socket.write(Buffer.concat([head, body]));
  }

  /** Writes all that is sent meanwhile at once. */
  together(send: () => void): void {
    this.#socket.cork();
    send();
    this.#socket.uncork();
  }

  /**
   * The next frame of this kind that passes; others stay for later calls. Fails when the connection ends
   * before.
   */
  async next(code: number, passes: (frame: Frame) => boolean = () => true): Promise<Frame> {
    for (;;) {
      const at = this.#frames.findIndex((frame) => frame.code === code && passes(frame));
      if (at >= 0) return this.#frames.splice(at, 1)[0]!;
      if (this.#ended) throw new Error(`the connection ended before a frame 0x${code.toString(16)}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The frames that have come and were not asked for. */
  left(code: number): readonly Frame[] {
    return this.#frames.filter((frame) => frame.code === code);
  }

  /** Closes the connection from this side, without a word. */
  destroy(): void {
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, bytes]);
    for (;;) {
      if (this.#unread.length < 8) break;
      const isHeader = this.#unread.toString("latin1", 0, 4) === "AMQP";
      const size = isHeader ? 8 : this.#unread.readUInt32BE(0);
      if (this.#unread.length < size) break;
      // A frame without a body is a heartbeat.
      if (!isHeader && size > 8) this.#frames.push(readFrame(this.#unread.subarray(0, size)));
      this.#unread = this.#unread.subarray(size);
    }
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

function readFrame(bytes: Buffer): Frame {
  const reader = new Reader(bytes);
  reader.at = 4 * bytes[4]!;
  const { descriptor, value } = reader.next() as Described;
  return {
    size: bytes.length,
    channel: bytes.readUInt16BE(6),
    code: Number(descriptor),
    fields: value as unknown[],
    payload: reader.rest(),
  };
}
