import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { together } from "./together.js";

interface Sent {
  readonly place: string;
  readonly items: readonly number[];
  done(): void;
  fail(error: Error): void;
}

let sends: Sent[] = [];
let send: (place: string, item: number, bytes: number) => Promise<void>;
const itemsOf = (): readonly (readonly number[])[] => sends.map(({ items }) => items);
/** Lets everything run that waits for a promise. */
const settled = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers();
  sends = [];
  send = together<number>(
    (place, items) =>
      new Promise((resolve, reject) => sends.push({ place, items, done: () => resolve(""), fail: reject })),
  );
});
afterEach(() => {
  vi.useRealTimers();
});

test("one goes at once, and those that come meanwhile go together, in order", async () => {
  const first = send("a", 1, 10);
  const others = [2, 3, 4].map((item) => send("a", item, 10));
  expect(itemsOf()).toEqual([[1]]);
  sends[0]!.done();
  await first;
  await settled();
  expect(itemsOf()).toEqual([[1], [2, 3, 4]]);
  sends[1]!.done();
  await Promise.all(others);
  // Nothing is under way any more.
  void send("a", 5, 10);
  expect(itemsOf()).toEqual([[1], [2, 3, 4], [5]]);
});

test("places don't wait for each other", () => {
  void send("a", 1, 10);
  void send("b", 2, 10);
  expect(sends.map(({ place, items }) => [place, items])).toEqual([
    ["a", [1]],
    ["b", [2]],
  ]);
});

test("a failure is told to all that went together, and to nobody else", async () => {
  const first = send("a", 1, 10);
  const [second, third] = [send("a", 2, 10), send("a", 3, 10)];
  for (const one of [second, third]) one.catch(() => {});
  sends[0]!.done();
  await first;
  await settled();
  const later = send("a", 4, 10);
  sends[1]!.fail(new Error("away"));
  await expect(second).rejects.toThrow("away");
  await expect(third).rejects.toThrow("away");
  await settled();
  sends[2]!.done();
  await later;
  expect(itemsOf()).toEqual([[1], [2, 3], [4]]);
});

test("a send that hangs holds up nobody for longer than 50 ms", async () => {
  void send("a", 1, 10);
  await vi.advanceTimersByTimeAsync(10);
  void send("a", 2, 10);
  await vi.advanceTimersByTimeAsync(20);
  void send("a", 3, 10);
  await vi.advanceTimersByTimeAsync(29);
  expect(itemsOf()).toEqual([[1]]);
  await vi.advanceTimersByTimeAsync(1);
  expect(itemsOf()).toEqual([[1], [2, 3]]);
  // Both hang.
  void send("a", 4, 10);
  await vi.advanceTimersByTimeAsync(50);
  expect(itemsOf()).toEqual([[1], [2, 3], [4]]);
  sends[0]!.done();
  await settled();
  void send("a", 5, 10);
  expect(itemsOf()).toHaveLength(3);
});

test("no send has more than a hundred items, or 128 KiB where it has several", () => {
  void send("a", 0, 10);
  for (let item = 1; item <= 250; item += 1) void send("a", item, 10);
  expect(itemsOf().map(({ length }) => length)).toEqual([1, 100, 100]);
  for (const [item, bytes] of [100_000, 40_000, 1_000_000, 10].entries()) void send("b", item, bytes);
  const ofB = sends.filter(({ place }) => place === "b").map(({ items }) => items);
  expect(ofB).toEqual([[0], [1], [2]]);
});
