import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { allEnded, groupBy, inParallel, LATE, oneByOne, retrying, within } from "./async.js";

const never = new Promise<never>(() => {});
const HOUR_MS = 3_600_000;

test("oneByOne runs what has the same key in the order of the calls, and goes on after a failure", async () => {
  const turns = oneByOne<object>();
  const owner = {};
  const inTurn = <T>(key: string, work: () => Promise<T>): Promise<T> => turns(owner, key, work);
  const seen: string[] = [];
  const step = (name: string) => async () => {
    seen.push(`${name} begins`);
    await turn();
    seen.push(`${name} ends`);
    if (name === "a2") throw new Error("a2 failed");
    return name;
  };
  const all = [
    inTurn("a", step("a1")),
    inTurn("a", step("a2")),
    inTurn("b", step("b1")),
    inTurn("a", step("a3")),
  ];
  expect((await Promise.allSettled(all)).map((one) => one.status === "fulfilled" && one.value)).toEqual([
    "a1",
    false,
    "b1",
    "a3",
  ]);
  const ofA = ["a1", "a2", "a3"].flatMap((name) => [`${name} begins`, `${name} ends`]);
  expect(seen.filter((name) => name.startsWith("a"))).toEqual(ofA);
  expect(seen.indexOf("b1 begins")).toBeLessThan(seen.indexOf("a1 ends"));
});

test("allEnded gives the results in order, and waits for all before it throws the first failure", async () => {
  expect(await allEnded([Promise.resolve(1), undefined, "two"])).toEqual([1, undefined, "two"]);
  let isOver = false;
  const slow = turn().then(() => {
    isOver = true;
    throw new Error("first");
  });
  await expect(allEnded([slow, Promise.reject(new Error("second"))])).rejects.toThrow("first");
  expect(isOver).toBe(true);
});

describe("within", () => {
  test("hands on a result or a failure that comes in time", async () => {
    expect(await within(HOUR_MS, Promise.resolve("done"))).toBe("done");
    await expect(within(HOUR_MS, Promise.reject(new Error("failed")))).rejects.toThrow("failed");
  });

  test("says that the work is late, and ignores a failure after that", async () => {
    let fail: (error: Error) => void = () => {};
    const work = new Promise<never>((_resolve, reject) => {
      fail = reject;
    });
    expect(await within(1, work)).toBe(LATE);
    expect(await within(1, never)).toBe(LATE);
    fail(new Error("too late to be heard"));
    await turn();
  });
});

describe("inParallel", () => {
  test("does all work in order, never more at a time than it may", async () => {
    const begun: number[] = [];
    let [now, most] = [0, 0];
    await inParallel(3, [1, 2, 3, 4, 5, 6, 7], async (item) => {
      begun.push(item);
      now += 1;
      most = Math.max(most, now);
      await turn();
      now -= 1;
    });
    expect(begun).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(most).toBe(3);
  });

  test("begins nothing after a failure, and throws it when all begun work has ended", async () => {
    const ended: number[] = [];
    const work = async (item: number): Promise<void> => {
      if (item === 2) throw new Error("the second");
      await turn();
      ended.push(item);
    };
    await expect(inParallel(2, [1, 2, 3, 4], work)).rejects.toThrow("the second");
    expect(ended).toEqual([1]);
  });

  test("does nothing without items", async () => {
    await inParallel(2, [], () => Promise.reject(new Error("never")));
  });
});

describe("retrying", () => {
  const failing = (times: number) => {
    let tries = 0;
    return async (): Promise<number> => {
      tries += 1;
      if (tries <= times) throw new Error(`try ${tries}`);
      return tries;
    };
  };

  test("tries once more after each pause", async () => {
    expect(await retrying([0, 0], failing(2))).toBe(3);
    await expect(retrying([0, 0], failing(3))).rejects.toThrow("try 3");
    await expect(retrying([], failing(1))).rejects.toThrow("try 1");
  });

  test("throws a failure that is not worth another try", async () => {
    const isWorthwhile = (error: unknown): boolean => (error as Error).message !== "try 2";
    await expect(retrying([0, 0, 0], failing(9), isWorthwhile)).rejects.toThrow("try 2");
  });
});

test("groupBy keeps the order of keys, and of the items of each", () => {
  const words = ["bee", "ant", "bat", "asp"];
  expect([...groupBy(words, (word) => word[0])]).toEqual([
    ["b", ["bee", "bat"]],
    ["a", ["ant", "asp"]],
  ]);
  const lengths = groupBy(
    words,
    (word) => word[0],
    (word) => word.length,
  );
  expect(lengths.get("a")).toEqual([3, 3]);
});
