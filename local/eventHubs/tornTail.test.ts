import {
  appendFileSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Partition } from "./partition.js";
import { CorruptDataError } from "./segment.js";

const PAGE = 4096;

let folder: string;
let logged: string[];
let open: Partition[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "partition-"));
  logged = [];
  open = [];
});
afterEach(async () => {
  await closeAll();
  rmSync(folder, { recursive: true, force: true });
});

function openPartition(): Partition {
  const log = (level: string, text: string) => logged.push(`${level} ${text}`);
  const partition = new Partition("0", folder, { retentionMs: 3_600_000, segmentBytes: 1_000_000, log });
  open.push(partition);
  return partition;
}

async function closeAll(): Promise<void> {
  await Promise.all(open.splice(0).map((each) => each.close()));
}

/** One send each, all of them in one write and one flush. */
async function sendTogether(partition: Partition, first: number, count: number, size: number) {
  const numbers = Array.from({ length: count }, (_, index) => first + index);
  await Promise.all(
    numbers.map(
      (number) =>
        new Promise<void>((resolve, reject) => {
          const event = Buffer.from(String(number).padEnd(size, "."));
          partition.append([{ event, partitionKey: undefined, producer: undefined }], (error) =>
            error ? reject(error) : resolve(),
          );
        }),
    ),
  );
}

const log = () => join(folder, readdirSync(folder).find((name) => name.endsWith(".log"))!);
const mark = () => join(folder, "flushed");

/** Opens, says what is there and what number comes next, and that a second start finds the same. */
async function found(): Promise<[events: number, next: number]> {
  const ends: number[] = [];
  for (let start = 0; start < 2; start += 1) {
    const partition = openPartition();
    ends.push(partition.endSequence);
    for (let next = 0; next < partition.endSequence; next += 1)
      expect(Number.parseInt(String(partition.read(next)!.event), 10)).toBe(next);
    await closeAll();
  }
  expect(ends[1]).toBe(ends[0]);
  const last = openPartition();
  await sendTogether(last, last.endSequence, 1, 10);
  const next = last.last!.sequenceNumber;
  await closeAll();
  return [ends[0]!, next];
}

/** Three confirmed events, then six in one write that a power cut may tear: its mark is the one before. */
async function threeAndSix(size: number): Promise<{ whole: Buffer; end: number; markBefore: string }> {
  const partition = openPartition();
  await sendTogether(partition, 0, 3, size);
  const end = readFileSync(log()).length;
  const markBefore = String(end).padStart(16, "0");
  await sendTogether(partition, 3, 6, size);
  await closeAll();
  return { whole: readFileSync(log()), end, markBefore };
}

describe("an end that was never confirmed", () => {
  test("is dropped wherever it was cut", async () => {
    const { whole, end, markBefore } = await threeAndSix(20);
    const record = end / 3;
    for (let cut = end; cut < whole.length; cut += 1) {
      writeFileSync(log(), whole.subarray(0, cut));
      writeFileSync(mark(), markBefore);
      const kept = Math.floor(cut / record);
      expect(await found(), `cut at ${cut}`).toEqual([kept, kept]);
    }
    expect(logged.filter((each) => each.startsWith("error"))).toEqual([]);
  });

  test.each([
    ["zeros", () => 0],
    ["garbage", (index: number) => (index * 2654435761) >>> 24],
  ])("is dropped when its bytes are %s from anywhere on", async (_name, byteAt) => {
    const { whole, end, markBefore } = await threeAndSix(20);
    for (let from = end; from <= whole.length; from += 3) {
      const bytes = Buffer.from(whole);
      for (let at = from; at < bytes.length; at += 1) bytes[at] = byteAt(at);
      writeFileSync(log(), bytes);
      writeFileSync(mark(), markBefore);
      appendFileSync(log(), Buffer.alloc(500, byteAt(77)));
      const kept = Math.floor(from / (end / 3));
      expect(await found(), `from ${from}`).toEqual([kept, kept]);
    }
  });

  test("is dropped when the disk has later pages of it and not the earlier ones", async () => {
    const { whole, end, markBefore } = await threeAndSix(3000);
    for (let from = Math.ceil(end / PAGE) * PAGE; from < whole.length; from += PAGE) {
      writeFileSync(mark(), markBefore);
      const bytes = Buffer.from(whole);
      bytes.fill(0, from, Math.min(from + PAGE, bytes.length));
      writeFileSync(log(), bytes);
      const kept = Math.floor(from / (end / 3));
      expect(await found(), `page at ${from}`).toEqual([kept, kept]);
    }
  });
});

describe("damage among what was confirmed", () => {
  test("is an error wherever a record follows, after a kill of the process", async () => {
    const { whole, end } = await threeAndSix(20);
    for (let at = 0; at < whole.length - end / 3; at += 5) {
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 0x10;
      writeFileSync(log(), bytes);
      expect(() => openPartition(), `at ${at}`).toThrow(CorruptDataError);
    }
  });

  test("is an error before the last write, after a power cut that took the mark back", async () => {
    const { whole, end } = await threeAndSix(20);
    for (let at = 0; at < end; at += 5) {
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 0x10;
      writeFileSync(log(), bytes);
      writeFileSync(mark(), "0".repeat(16));
      expect(() => openPartition(), `at ${at}`).toThrow("Restore the file from a copy");
    }
  });
});

describe("a log that has gone back", () => {
  test.each([
    ["between two records", 0],
    ["within a record", 7],
  ])("opens when its file is cut %s, and numbers go on from there", async (_name, more) => {
    const partition = openPartition();
    for (let index = 0; index < 10; index += 1) await sendTogether(partition, index, 1, 20);
    await closeAll();
    const record = readFileSync(log()).length / 10;
    truncateSync(log(), record * 5 + more);
    const again = openPartition();
    expect([again.firstSequence, again.endSequence, again.endOffset]).toEqual([0, 5, record * 5]);
    expect(logged.filter((each) => each.startsWith("error"))).toEqual([
      `error ${folder}: the log has gone back. It ends before sequence number 5, and ${record * 5} bytes that ` +
        "were confirmed are missing behind it. New events get their numbers.",
    ]);
    await closeAll();
    expect(await found()).toEqual([5, 5]);
    expect(logged.filter((each) => each.startsWith("error"))).toHaveLength(1);
  });

  test("opens with an older copy of its file, and with none", async () => {
    const partition = openPartition();
    await sendTogether(partition, 0, 4, 20);
    copyFileSync(log(), `${log()}.copy`);
    await sendTogether(partition, 4, 4, 20);
    await closeAll();
    copyFileSync(`${log()}.copy`, log());
    expect(await found()).toEqual([4, 4]);
    rmSync(log());
    expect(await found()).toEqual([0, 0]);
  });
});
