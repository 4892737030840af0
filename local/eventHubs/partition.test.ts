import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LockedError, lockFolder } from "./lock.js";
import { Partition } from "./partition.js";
import { Producers } from "./producers.js";
import { CorruptDataError } from "./segment.js";

let folder: string;
const open: Partition[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "partition-"));
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
  rmSync(folder, { recursive: true, force: true });
});

function openPartition(segmentBytes = 1_000_000, retentionMs = 3_600_000): Partition {
  const partition = new Partition("0", folder, { retentionMs, segmentBytes, log: () => {} });
  open.push(partition);
  return partition;
}

async function closeAll(): Promise<void> {
  await Promise.all(open.splice(0).map((each) => each.close()));
}

function append(partition: Partition, bodies: readonly Buffer[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const batch = bodies.map((event) => ({ event, partitionKey: "k", producer: undefined }));
    partition.append(batch, (error) => (error ? reject(error) : resolve()));
  });
}

const body = (index: number, size = 100) => Buffer.from(String(index).padEnd(size, "."));
const bodies = (first: number, count: number, size = 100) =>
  Array.from({ length: count }, (_, index) => body(first + index, size));
const files = () => readdirSync(folder).sort();

function everything(partition: Partition): string[] {
  const found: string[] = [];
  for (let next = partition.firstSequence; next < partition.endSequence; next += 1)
    found.push(String(partition.read(next)!.event));
  return found;
}

describe("a partition", () => {
  test("reads back what it was given, from memory and from its files, over several segments", async () => {
    const first = openPartition(2_000_000);
    for (let index = 0; index < 100; index += 1) await append(first, bodies(index * 10, 10, 10_000));
    expect(files().length).toBeGreaterThan(3);
    const expected = bodies(0, 1000, 10_000).map(String);
    expect(everything(first)).toEqual(expected);
    await closeAll();
    expect(everything(openPartition())).toEqual(expected);
  });

  test("shows nothing before it is flushed", async () => {
    const partition = openPartition();
    const stored = append(partition, [body(0)]);
    expect(partition.read(0)).toBeUndefined();
    await stored;
    expect(partition.read(0)!.event).toEqual(body(0));
  });

  test("gives the same offsets and times after a restart", async () => {
    const first = openPartition(500);
    for (let index = 0; index < 20; index += 1) await append(first, [body(index)]);
    const before = Array.from({ length: 20 }, (_, index) => first.read(index));
    await closeAll();
    const second = openPartition(500);
    const after = Array.from({ length: 20 }, (_, index) => second.read(index));
    const place = (each: (typeof before)[number]) => [each!.sequenceNumber, each!.offset, each!.enqueuedTime];
    expect(after.map(place)).toEqual(before.map(place));
    expect(second.firstWhere((event) => event.offset > before[9]!.offset)).toBe(10);
  });

  test("drops a batch that was not written whole, at whatever byte it was cut", async () => {
    const first = openPartition();
    await append(first, bodies(0, 2));
    await append(first, bodies(2, 3));
    await closeAll();
    const path = join(folder, files()[0]!);
    const whole = readFileSync(path);
    const end = whole.length / 5;
    for (let cut = end * 2 + 1; cut < whole.length; cut += 7) {
      writeFileSync(path, whole);
      truncateSync(path, cut);
      expect(openPartition().endSequence, `cut at ${cut}`).toBe(2);
      await closeAll();
      expect(statSync(path).size).toBe(end * 2);
    }
  });

  test("cuts garbage and zeros behind the last record", async () => {
    await append(openPartition(), bodies(0, 3));
    await closeAll();
    const path = join(folder, files()[0]!);
    appendFileSync(path, Buffer.alloc(500));
    expect(openPartition().endSequence).toBe(3);
    await closeAll();
    appendFileSync(path, Buffer.alloc(500, 0xa7));
    expect(openPartition().endSequence).toBe(3);
  });

  test.each([
    ["a flipped bit", 200],
    ["a broken length", 130],
  ])("refuses to open with %s before sound records, and names the place", async (_name, at) => {
    await append(openPartition(), bodies(0, 5));
    await closeAll();
    const path = join(folder, files()[0]!);
    const bytes = readFileSync(path);
    bytes[at]! ^= 0x40;
    writeFileSync(path, bytes);
    expect(() => openPartition()).toThrow(CorruptDataError);
    expect(() => openPartition()).toThrow(`${path} is damaged at byte ${bytes.length / 5}: expected`);
    expect(statSync(path).size).toBe(bytes.length);
  });

  test("refuses to open when a segment in the middle is gone or cut", async () => {
    const partition = openPartition(300);
    for (let index = 0; index < 12; index += 1) await append(partition, [body(index)]);
    await closeAll();
    const path = join(folder, files()[1]!);
    const bytes = readFileSync(path);
    truncateSync(path, bytes.length - 10);
    expect(() => openPartition(300)).toThrow("is damaged at byte");
    rmSync(path);
    expect(() => openPartition(300)).toThrow("a file is missing or cut");
  });

  test("deletes whole segments past the retention and goes on counting after a restart", async () => {
    const partition = openPartition(300, 1000);
    for (let index = 0; index < 12; index += 1) await append(partition, [body(index)]);
    partition.expire(() => Date.now() + 4000);
    expect([partition.firstSequence, partition.endSequence]).toEqual([12, 12]);
    expect(partition.read(3)).toBeUndefined();
    await closeAll();
    const again = openPartition(300, 1000);
    await append(again, [body(12)]);
    expect(again.read(0)!.sequenceNumber).toBe(12);
  });
});

describe("idempotent producers", () => {
  test.each([
    ["the next", 5, 2, "new"],
    ["a repeat", 3, 2, "repeat"],
    ["an old repeat", 0, 1, "repeat"],
    ["a gap", 6, 1, "gap"],
    ["half a repeat", 4, 2, "gap"],
  ])("judge %s", (_name, sequenceNumber, count, verdict) => {
    const producers = new Producers();
    producers.recover({ id: 9, epoch: 1, sequenceNumber: 4 });
    expect(producers.judge({ id: 9, epoch: 1, sequenceNumber }, count)).toBe(verdict);
    expect(producers.judge({ id: 9, epoch: 0, sequenceNumber }, count)).toBe("stolen");
  });

  test("tell the links of an older epoch that a newer one has taken over, and no others", () => {
    const producers = new Producers();
    const stolen: string[] = [];
    const attach = (name: string, id: number, epoch: number) =>
      producers.attach(id, epoch, undefined, () => stolen.push(name));
    attach("first", 7, 1);
    attach("second", 7, 1);
    attach("gone", 7, 1)?.detach();
    attach("other", 8, 1);
    expect(stolen).toEqual([]);
    expect(attach("newer", 7, 2)).toMatchObject({ id: 7, epoch: 2, last: -1 });
    expect(stolen).toEqual(["first", "second"]);
    expect(attach("late", 7, 1)).toBeUndefined();
    attach("newest", 7, 3);
    expect(stolen).toEqual(["first", "second", "newer"]);
  });

  test("get an id of the broker's when they name none, and go on where they were", () => {
    const producers = new Producers();
    const first = producers.attach(undefined, undefined, undefined, () => {})!;
    const second = producers.attach(undefined, undefined, undefined, () => {})!;
    expect(second.id).toBe(first.id + 1);
    producers.advance({ id: first.id, epoch: 0, sequenceNumber: 0 }, 3);
    expect(producers.attach(first.id, undefined, undefined, () => {})).toMatchObject({ epoch: 0, last: 2 });
  });
});

describe("the lock of a data folder", () => {
  test("keeps a second owner out, and is free again afterwards", () => {
    const unlock = lockFolder(folder);
    expect(() => lockFolder(folder)).toThrow(LockedError);
    unlock();
    lockFolder(folder)();
  });

  test.each([["2147483646 5\n"], [`${process.pid} 1\n`], [""], ["nonsense"]])(
    "is taken over from the dead: %j",
    (left) => {
      writeFileSync(join(folder, "lock"), left);
      lockFolder(folder)();
    },
  );
});
