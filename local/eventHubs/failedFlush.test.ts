import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DISK, type Disk } from "./logFile.js";
import { AppendError, Partition } from "./partition.js";

/** The real disk, but for what a test lets fail. */
interface FaultyDisk extends Disk {
  failing: Set<keyof Disk>;
}

const error = (call: string) => Object.assign(new Error(`EIO: ${call}`), { code: "EIO" });

function faultyDisk(): FaultyDisk {
  const failing = new Set<keyof Disk>();
  return {
    failing,
    write(file, buffers) {
      if (!failing.has("write")) return DISK.write(file, buffers);
      DISK.write(file, [buffers[0]!.subarray(0, 20)]);
      throw error("write");
    },
    // What failed to be flushed is in the file all the same, as far as this process sees.
    flush: (file, done) =>
      failing.has("flush") ? setImmediate(() => done(error("flush"))) : DISK.flush(file, done),
    cut(file, size) {
      if (failing.has("cut")) throw error("cut");
      DISK.cut(file, size);
    },
  };
}

let folder: string;
let disk: FaultyDisk;
let partition: Partition;
let logged: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "partition-"));
  disk = faultyDisk();
  logged = [];
  partition = openPartition();
});
afterEach(async () => {
  await partition.close();
  rmSync(folder, { recursive: true, force: true });
});

function openPartition(at = folder): Partition {
  const log = (level: string, text: string) => logged.push(`${level} ${text}`);
  return new Partition("0", at, { retentionMs: 3_600_000, segmentBytes: 100_000, log, disk });
}

/** Sends one event and says what its sender is told. */
function send(text: string, mark?: number): Promise<string> {
  const producer = mark === undefined ? undefined : { id: 7, epoch: 0, sequenceNumber: mark };
  return new Promise((resolve) => {
    const told = (failure?: Error) => resolve(failure ? nameOf(failure) : "accepted");
    try {
      partition.append([{ event: Buffer.from(text), partitionKey: "k", producer }], told);
      if (producer) partition.producers.advance(producer, 1);
    } catch (failure) {
      resolve(nameOf(failure));
    }
  });
}

const nameOf = (failure: unknown) => (failure instanceof AppendError ? "try again" : String(failure));

function everything(): [number, string][] {
  const found: [number, string][] = [];
  for (let next = partition.firstSequence; next < partition.endSequence; next += 1) {
    const event = partition.read(next)!;
    found.push([event.sequenceNumber, String(event.event)]);
  }
  return found;
}

/** All events, and again after a restart. */
async function everythingTwice(): Promise<[number, string][]> {
  const before = everything();
  await partition.close();
  partition = openPartition();
  expect(everything()).toEqual(before);
  return before;
}

/** Runs the microtasks and ticks before the next turn, so that the flush of what was sent has begun. */
const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("a flush that fails", () => {
  test.each(["write", "flush"] as const)("refuses its events, and the log has no hole: %s", async (call) => {
    await send("a");
    disk.failing.add(call);
    expect(await send("lost")).toBe("try again");
    disk.failing.clear();
    expect(await Promise.all([send("b"), send("c")])).toEqual(["accepted", "accepted"]);
    expect(await everythingTwice()).toEqual([
      [0, "a"],
      [1, "b"],
      [2, "c"],
    ]);
  });

  test("refuses those that wait behind it, too", async () => {
    await send("a");
    let finish = (_error: Error | null) => {};
    const { flush } = disk;
    disk.flush = (_file, done) => {
      finish = done;
    };
    const first = send("under way");
    await new Promise<void>((resolve) => process.nextTick(resolve));
    const behind = [send("behind"), send("behind it")];
    await tick();
    disk.flush = flush;
    finish(error("flush"));
    expect(await Promise.all([first, ...behind])).toEqual(["try again", "try again", "try again"]);
    expect(await send("b")).toBe("accepted");
    expect(await everythingTwice()).toEqual([
      [0, "a"],
      [1, "b"],
    ]);
  });

  test("fails at whatever point of forty, and every answer is true", async () => {
    const accepted: string[] = [];
    for (let point = 0; point < 40; point += 1) {
      const group = Array.from({ length: 5 }, (_, index) => `${point}/${index}`);
      if (point % 3 === 1) disk.failing.add(point % 2 ? "flush" : "write");
      const answers = await Promise.all(group.map((each) => send(each)));
      disk.failing.clear();
      accepted.push(...group.filter((_, index) => answers[index] === "accepted"));
    }
    expect(accepted).toHaveLength(135);
    expect(await everythingTwice()).toEqual(accepted.map((each, index) => [index, each]));
  });

  test("takes nothing while the file can't be cut back, and tries that again", async () => {
    await send("a");
    disk.failing.add("flush").add("cut");
    expect(await send("lost")).toBe("try again");
    disk.failing.delete("flush");
    expect(await send("too early")).toBe("try again");
    disk.failing.clear();
    await expect.poll(() => send("b"), { timeout: 20_000 }).toBe("accepted");
    expect(await everythingTwice()).toEqual([
      [0, "a"],
      [1, "b"],
    ]);
  });

  test("takes nothing into a file that has lost what was stored", async () => {
    await send("a");
    disk.failing.add("write");
    truncateSync(join(folder, readdirSync(folder)[0]!), 3);
    expect(await send("lost")).toBe("try again");
    disk.failing.clear();
    expect(await send("b")).toBe("try again");
    expect(logged[0]).toContain("23 bytes are left of 29 that were stored: restore the file from a copy");
  });

  test("lets an idempotent producer repeat what was refused, and stores it then", async () => {
    partition.producers.attach(7, 0, undefined, () => {});
    await send("zero", 0);
    disk.failing.add("flush");
    expect(await Promise.all([send("one", 1), send("two", 2)])).toEqual(["try again", "try again"]);
    disk.failing.clear();
    const judge = (sequenceNumber: number) =>
      partition.producers.judge({ id: 7, epoch: 0, sequenceNumber }, 1);
    expect([judge(0), judge(1), judge(2)]).toEqual(["repeat", "new", "gap"]);
  });

  test("says once that it can't write, and once that it can again", async () => {
    disk.failing.add("write");
    for (let index = 0; index < 5; index += 1) await send("lost");
    disk.failing.clear();
    await send("a");
    await send("b");
    const path = join(folder, readdirSync(folder)[0]!);
    expect(logged).toEqual([
      `error ${path} can't be written (EIO: write). Senders are told to try again until it can: make room on ` +
        "the disk, or see to it.",
      `info ${path} is written again; 5 sends were refused`,
    ]);
  });
});

const MOUNT = "/bin/mount";
const UNMOUNT = "/bin/umount";

function mountSmall(at: string): void {
  execFileSync(MOUNT, ["-t", "tmpfs", "-o", "size=1m", "tmpfs", at], { stdio: "ignore" });
}

/** Mounting takes root, and a system that lets it. */
function canMount(): boolean {
  const at = mkdtempSync(join(tmpdir(), "mount-"));
  try {
    mountSmall(at);
    execFileSync(UNMOUNT, [at]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(at, { recursive: true });
  }
}

describe.skipIf(!canMount())("a disk that is full", () => {
  test("is written again as soon as there is room, and nothing accepted is missing", async () => {
    const at = mkdtempSync(join(tmpdir(), "full-"));
    mountSmall(at);
    try {
      writeFileSync(join(at, "filler"), Buffer.alloc(600_000));
      await partition.close();
      partition = openPartition(join(at, "0"));
      const text = "x".repeat(3000);
      const accepted: string[] = [];
      for (let index = 0; index < 300; index += 1) {
        if (index === 250) rmSync(join(at, "filler"));
        if ((await send(`${index} ${text}`)) === "accepted") accepted.push(`${index} ${text}`);
      }
      expect(logged.map((each) => each.split(" ")[0])).toEqual(["error", "info"]);
      expect(accepted.length).toBeGreaterThan(100);
      expect(accepted.slice(-50)).toEqual(Array.from({ length: 50 }, (_, index) => `${250 + index} ${text}`));
      await partition.close();
      partition = openPartition(join(at, "0"));
      expect(everything()).toEqual(accepted.map((each, index) => [index, each]));
      await partition.close();
    } finally {
      partition = openPartition();
      execFileSync(UNMOUNT, [at]);
      rmSync(at, { recursive: true });
    }
  });
});
