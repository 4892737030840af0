import { appendFileSync } from "node:fs";
import { between, pick, randomOf } from "../random.js";
import { type PartitionLog, readLogs } from "../stack/busLog.js";
import type { Kind } from "./kind.js";

/** What a record says that its length is, and how much of it is there. */
const [LENGTH, WRITTEN] = [400, 120];

/** Kafka has the first offset before the length. */
function torn(log: PartitionLog, isKafka: boolean): Buffer {
  const bytes = Buffer.alloc(WRITTEN, 7);
  if (isKafka) bytes.writeBigInt64BE(BigInt(log.last + 1), 0);
  bytes.writeUInt32BE(LENGTH, isKafka ? 8 : 0);
  return bytes;
}

/** The bus dies in the middle of a write that it has told nobody of. */
export const tornRecord: Kind = {
  name: "torn record",
  draw: (random) => ({ target: "bus", ms: between(random, 200, 2_000), amount: between(random, 1, 1_000) }),
  async start({ stack }, { amount }) {
    await stack.parts.bus.down("SIGKILL");
    const log = pick(randomOf(amount), readLogs(stack.folder, stack.bus));
    appendFileSync(log.file, torn(log, stack.bus === "kafka"));
    return () => stack.parts.bus.up();
  },
};
