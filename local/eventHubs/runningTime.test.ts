import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RunningTime } from "./runningTime.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let folder: string;
let path: string;
let now: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "running-"));
  path = join(folder, "running.json");
  now = 1_000 * HOUR;
});
afterEach(() => rmSync(folder, { recursive: true }));

const begin = () => new RunningTime(path, () => now);

/** Runs for whole hours, with a note each minute. */
function run(running: RunningTime, hours: number): void {
  running.note(MINUTE);
  for (let minute = 0; minute < hours * 60; minute += 1) {
    now += MINUTE;
    running.note(MINUTE);
  }
}

describe("the running time", () => {
  test("is the clock's while the server runs", () => {
    const running = begin();
    run(running, 10);
    expect(running.ago(6 * HOUR)).toBe(now - 6 * HOUR);
  });

  test("leaves out what lies between two starts", () => {
    run(begin(), 2);
    const stopped = now;
    now += 30 * HOUR;
    const running = begin();
    expect(running.ago(HOUR)).toBe(stopped - HOUR);
    run(running, 3);
    expect(running.ago(HOUR)).toBe(now - HOUR);
    expect(running.ago(4 * HOUR)).toBe(stopped - HOUR);
  });

  test("leaves out what the machine slept, or what its clock was set forward by", () => {
    const running = begin();
    run(running, 1);
    const asleep = now;
    now += 48 * HOUR;
    running.note(MINUTE);
    expect(running.ago(31 * MINUTE)).toBe(asleep - 30 * MINUTE);
  });

  test("keeps everything for longer when the clock is set back", () => {
    const running = begin();
    run(running, 5);
    now -= 2 * HOUR;
    run(running, 1);
    expect(running.ago(HOUR)).toBe(now - HOUR);
  });

  test.each([["nothing"], [""], ['{"gaps":[[1]],"until":5}'], ["{"]])(
    "starts with the first start, also after a note that reads %j",
    (left) => {
      if (left !== "nothing") writeFileSync(path, left);
      const started = now;
      const running = begin();
      run(running, 1);
      expect(running.ago(HOUR)).toBe(started);
      expect(running.ago(HOUR + 1)).toBeLessThan(0);
    },
  );

  test("keeps its file small over a thousand starts, and no event goes early", () => {
    for (let start = 0; start < 1000; start += 1) {
      const running = begin();
      running.note(HOUR);
      now += HOUR;
      running.note(HOUR);
      now += HOUR;
    }
    expect(readFileSync(path).length).toBeLessThan(10_000);
    expect(begin().ago(24 * HOUR)).toBe(now - 48 * HOUR);
    expect(begin().ago(500 * HOUR)).toBeLessThan(now - 1000 * HOUR);
  });
});
