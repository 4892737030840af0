/**
 * The partition (0 to `count` - 1) that Event Hubs and its SDKs choose for a partition key: lookup3 of the
 * key's UTF-8 bytes, the two results folded into a signed 16-bit number.
 */
export function partitionOfKey(key: string, count: number): number {
  const { b, c } = lookup3(Buffer.from(key, "utf8"));
  const folded = ((c ^ b) << 16) >> 16;
  return Math.abs(folded % count);
}

const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));

/** Bob Jenkins' hashlittle2 with both seeds zero (lookup3.c, May 2006, public domain). */
function lookup3(key: Buffer): { b: number; c: number } {
  let a = (0xdeadbeef + key.length) | 0;
  let b = a;
  let c = a;
  let at = 0;
  for (; key.length - at > 12; at += 12) {
    a = (a + key.readUInt32LE(at)) | 0;
    b = (b + key.readUInt32LE(at + 4)) | 0;
    c = (c + key.readUInt32LE(at + 8)) | 0;
    a = ((a - c) ^ rotate(c, 4)) | 0;
    c = (c + b) | 0;
    b = ((b - a) ^ rotate(a, 6)) | 0;
    a = (a + c) | 0;
    c = ((c - b) ^ rotate(b, 8)) | 0;
    b = (b + a) | 0;
    a = ((a - c) ^ rotate(c, 16)) | 0;
    c = (c + b) | 0;
    b = ((b - a) ^ rotate(a, 19)) | 0;
    a = (a + c) | 0;
    c = ((c - b) ^ rotate(b, 4)) | 0;
    b = (b + a) | 0;
  }
  if (at === key.length) return { b, c };
  // Missing bytes of the last block count as zeros.
  const last = Buffer.alloc(12);
  key.copy(last, 0, at);
  a = (a + last.readUInt32LE(0)) | 0;
  b = (b + last.readUInt32LE(4)) | 0;
  c = (c + last.readUInt32LE(8)) | 0;
  c = ((c ^ b) - rotate(b, 14)) | 0;
  a = ((a ^ c) - rotate(c, 11)) | 0;
  b = ((b ^ a) - rotate(a, 25)) | 0;
  c = ((c ^ b) - rotate(b, 16)) | 0;
  a = ((a ^ c) - rotate(c, 4)) | 0;
  b = ((b ^ a) - rotate(a, 14)) | 0;
  c = ((c ^ b) - rotate(b, 24)) | 0;
  return { b, c };
}
