import { createRequire } from "node:module";

/** The used part of rhea's codec. */
interface Frames {
  read_frame(bytes: Buffer): {
    readonly performative: {
      readonly handle: number;
      /** Whether the server receives over the link. */
      readonly role: boolean;
      /** A list, of which the first is the address; or nothing, as of a link to the server. */
      readonly source:
        | { readonly value: readonly ({ readonly value: unknown } | undefined)[] | null }
        | null
        | undefined;
    };
  };
}
const { read_frame } = createRequire(import.meta.url)("rhea/lib/frames.js") as Frames;

/** What the frames of a connection begin with, after SASL and again after it (AMQP 1.0 §2.2, §5.3.2). */
const MAGIC = 0x414d5150;
const PROTOCOL_HEADER = 8;
const FRAME_HEADER = 8;
/** Types of frames, AMQP 1.0 §2.3.1, §5.3.1. */
const AMQP_FRAME = 0;
const SASL_FRAME = 1;
/** Performatives, AMQP 1.0 §2.7. */
const ATTACH = 0x12;
const TRANSFER = 0x14;
/** Far more than a peer's frame has. What is larger is no frame. */
const MAX_FRAME = 16 * 1024 * 1024;

/** The end of a reader's address. */
const PARTITION = /[^/]+\/consumergroups\/[^/]+\/partitions\/[^/]+$/;

/** How `AmqpArrivals` calls a partition that is read in a consumer group of a hub. */
export const partitionOf = (hub: string, group: string, partitionId: string): string =>
  `${hub}/consumergroups/${group}/partitions/${partitionId}`.toLowerCase();

/** Of a server that doesn't repeat a link's address. */
export const ANY_PARTITION = "*";

/**
 * Reads what a server of AMQP 1.0 says over one connection, and tells of which partitions events have come, by
 * `partitionOf`. Of a frame it reads no more than it takes to know that.
 */
export class AmqpArrivals {
  #left: Buffer = Buffer.alloc(0);
  /** The partitions of the server's links, by channel and handle. */
  readonly #partitions = new Map<string, string>();
  #isUnknown = false;

  /**
   * The partitions of which these bytes bring events, perhaps `ANY_PARTITION` among them; `unknown` from the first
   * bytes on that are no AMQP.
   */
  read(bytes: Buffer): ReadonlySet<string> | "unknown" {
    if (this.#isUnknown) return "unknown";
    try {
      return this.#frames(this.#left.length === 0 ? bytes : Buffer.concat([this.#left, bytes]));
    } catch {
      this.#isUnknown = true;
      this.#left = Buffer.alloc(0);
      return "unknown";
    }
  }

  #frames(bytes: Buffer): ReadonlySet<string> {
    const come = new Set<string>();
    let at = 0;
    for (let length = lengthOf(bytes, at); at + length <= bytes.length; length = lengthOf(bytes, at)) {
      this.#frame(bytes.subarray(at, at + length), come);
      at += length;
    }
    // It may be a view of a buffer that its socket uses again.
    this.#left = Buffer.from(bytes.subarray(at));
    return come;
  }

  #frame(frame: Buffer, come: Set<string>): void {
    if (frame.readUInt32BE(0) === MAGIC || frame[5] === SASL_FRAME) return;
    if (frame[5] !== AMQP_FRAME) throw new Error("no frame of AMQP");
    const body = frame[4]! * 4;
    // An empty frame keeps a connection open.
    if (body === frame.length) return;
    const performative = performativeAt(frame, body);
    const channel = frame.readUInt16BE(6);
    if (performative === ATTACH) this.#attach(frame, channel);
    if (performative !== TRANSFER) return;
    const partition = this.#partitions.get(`${channel} ${firstUint(frame, body)}`);
    // Links of the hub's management and of CBS are none of a partition.
    if (partition !== undefined) come.add(partition);
  }

  #attach(frame: Buffer, channel: number): void {
    const { handle, role, source } = read_frame(frame).performative;
    const address = source?.value?.[0]?.value;
    const isKnown = role || (address !== undefined && address !== null);
    const partition = isKnown ? PARTITION.exec(String(address).toLowerCase())?.[0] : ANY_PARTITION;
    if (partition === undefined) this.#partitions.delete(`${channel} ${handle}`);
    else this.#partitions.set(`${channel} ${handle}`, partition);
  }
}

/** The length of what begins at `at`, a frame or a protocol header; infinite where that is not said yet. */
function lengthOf(bytes: Buffer, at: number): number {
  if (at + 4 > bytes.length) return Number.POSITIVE_INFINITY;
  const size = bytes.readUInt32BE(at);
  if (size === MAGIC) return PROTOCOL_HEADER;
  if (size < FRAME_HEADER || size > MAX_FRAME) throw new Error(`no frame has ${size} bytes`);
  return size;
}

/** Everybody sends the short descriptor of a performative (AMQP 1.0 §1.2, smallulong). */
function performativeAt(frame: Buffer, at: number): number {
  if (frame[at] !== 0 || frame[at + 1] !== 0x53) throw new Error("no performative");
  return frame[at + 2]!;
}

/** The first field of a performative, where that is an unsigned number. */
function firstUint(frame: Buffer, at: number): number {
  // Behind the descriptor is the list, with its size and count in one byte each, or in four.
  const field = at + (frame[at + 3] === 0xd0 ? 12 : 6);
  switch (frame[field]) {
    case 0x43:
      return 0;
    case 0x52:
      return frame.readUInt8(field + 1);
    case 0x70:
      return frame.readUInt32BE(field + 1);
    default:
      throw new Error("no unsigned number");
  }
}
