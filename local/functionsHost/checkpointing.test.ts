import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Checkpointing } from "./checkpointing.js";

let written: number[] = [];
let failures: unknown[] = [];
/** What is being written ends when this is called. */
let end: (error?: Error) => void = () => {};
let checkpoints: Checkpointing<number>;

const every = (batches: number): Checkpointing<number> =>
  new Checkpointing<number>(
    batches,
    (event) => {
      written.push(event);
      return new Promise((resolve, reject) => {
        end = (error) => (error ? reject(error) : resolve());
      });
    },
    (error, event) => void failures.push([(error as Error).message, event]),
  );

beforeEach(() => {
  vi.useFakeTimers();
  [written, failures] = [[], []];
  checkpoints = every(1);
});
afterEach(() => vi.useRealTimers());

const ended = async (error?: Error): Promise<void> => {
  // What was asked for before has begun by then.
  await vi.advanceTimersByTimeAsync(0);
  end(error);
  await vi.advanceTimersByTimeAsync(0);
};

test("the first is written at once, and of those that follow the newest, a second later", async () => {
  checkpoints.done(1);
  expect(written).toEqual([1]);
  await ended();
  checkpoints.done(2);
  checkpoints.done(3);
  await vi.advanceTimersByTimeAsync(999);
  expect(written).toEqual([1]);
  await vi.advanceTimersByTimeAsync(1);
  expect(written).toEqual([1, 3]);
});

test("one is written at a time, though it takes long", async () => {
  checkpoints.done(1);
  await vi.advanceTimersByTimeAsync(5_000);
  checkpoints.done(2);
  checkpoints.done(3);
  expect(written).toEqual([1]);
  await ended();
  expect(written).toEqual([1, 3]);
  await ended();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(written).toEqual([1, 3]);
});

test("after a failure the next that is done is written, and no older one", async () => {
  checkpoints.done(1);
  await ended(new Error("away"));
  await vi.advanceTimersByTimeAsync(5_000);
  expect([written, failures]).toEqual([[1], [["away", 1]]]);
  checkpoints.done(2);
  checkpoints.done(3);
  await ended();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(written).toEqual([1, 2, 3]);
});

test("one is due after so many batches, and after a failure with the next one", async () => {
  checkpoints = every(3);
  for (const event of [1, 2, 3, 4]) checkpoints.done(event);
  expect(written).toEqual([3]);
  await ended(new Error("away"));
  await vi.advanceTimersByTimeAsync(5_000);
  checkpoints.done(5);
  expect(written).toEqual([3, 5]);
  await ended();
  await vi.advanceTimersByTimeAsync(5_000);
  checkpoints.done(6);
  checkpoints.done(7);
  expect(written).toEqual([3, 5]);
  checkpoints.done(8);
  expect(written).toEqual([3, 5, 8]);
});

test("a flush writes what is due at once, behind what is being written", async () => {
  checkpoints.done(1);
  checkpoints.done(2);
  let isFlushed = false;
  const flushing = checkpoints.flush().then(() => {
    isFlushed = true;
  });
  await ended();
  expect([written, isFlushed]).toEqual([[1, 2], false]);
  await ended();
  await flushing;
  await checkpoints.flush();
  expect(written).toEqual([1, 2]);
});

test("a flush tries what has failed once more, and no longer", async () => {
  checkpoints.done(1);
  await ended(new Error("away"));
  const flushing = checkpoints.flush();
  await ended(new Error("still away"));
  await flushing;
  expect([written, failures.length]).toEqual([[1, 1], 2]);
});

test("nothing is written once it is closed", async () => {
  checkpoints.done(1);
  await ended();
  checkpoints.done(2);
  checkpoints.close();
  checkpoints.done(3);
  await checkpoints.flush();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(written).toEqual([1]);
});
