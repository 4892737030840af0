/**
 * The partition (0 to `count` - 1) in which the events of a key stand: the one that Event Hubs itself chooses
 * for a partition key, in both protocols. Kafka's own clients would hash the key in another way, so a producer
 * that speaks Kafka names the partition. It is lookup3 of the key's UTF-8 bytes, the two results folded into a
 * signed 16-bit number, as the SDKs of Event Hubs have it.
 */
export function partitionOf(key: string, count: number): number {
  const [b, c] = lookup3(Buffer.from(key, "utf8"));
  return Math.abs((((b ^ c) << 16) >> 16) % count);
}

const rotated = (value: number, by: number): number => (value << by) | (value >>> (32 - by));

type Three = [a: number, b: number, c: number];

/** The rotations of `mix` and `final` in lookup3.c, in their order. */
const MIX = [4, 6, 8, 16, 19, 4] as const;
const FINAL = [14, 11, 25, 16, 4, 14, 24] as const;

/** `hashlittle2` with seeds 0 (Bob Jenkins, lookup3.c, May 2006, public domain). Returns `b` and `c`. */
function lookup3(key: Buffer): readonly [b: number, c: number] {
  const seed = (0xdeadbeef + key.length) | 0;
  let state: Three = [seed, seed, seed];
  let at = 0;
  for (; key.length - at > 12; at += 12) state = mixed(added(state, key, at));
  if (at < key.length) {
    // Bytes that the last block lacks count as zeros.
    const last = Buffer.alloc(12);
    key.copy(last, 0, at);
    state = final(added(state, last, 0));
  }
  return [state[1], state[2]];
}

const added = ([a, b, c]: Three, block: Buffer, at: number): Three => [
  (a + block.readUInt32LE(at)) | 0,
  (b + block.readUInt32LE(at + 4)) | 0,
  (c + block.readUInt32LE(at + 8)) | 0,
];

/** Each step takes one value, changes it by the rotation of another, and moves on: (a, b, c) to (b, c, a). */
function mixed(state: Three): Three {
  let [a, b, c] = state;
  for (const by of MIX) {
    a = ((a - c) ^ rotated(c, by)) | 0;
    c = (c + b) | 0;
    [a, b, c] = [b, c, a];
  }
  return [a, b, c];
}

function final(state: Three): Three {
  let [a, b, c] = state;
  for (const by of FINAL) {
    c = ((c ^ b) - rotated(b, by)) | 0;
    [a, b, c] = [b, c, a];
  }
  // Seven steps are two rounds of three and one more.
  return [c, a, b];
}
