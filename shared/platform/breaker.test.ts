import { beforeEach, describe, expect, test } from "vitest";
import { Breaker } from "./breaker.js";
import { ChatError } from "./errors.js";

describe("a breaker", () => {
  let time: number;
  let probes: { resolve(): void; reject(error: Error): void }[];
  let calls: number;
  let answeredAt: number;
  let breaker: Breaker;
  const refused = { code: "UNAVAILABLE", message: "The bus does not answer right now; try again." };
  const isAnswer = (error: unknown) => error instanceof ChatError && error.code === "FORBIDDEN";

  beforeEach(() => {
    [time, calls, probes, answeredAt] = [0, 0, [], Number.NEGATIVE_INFINITY];
    const probe = () =>
      new Promise<void>((resolve, reject) => {
        probes.push({ resolve, reject });
      });
    breaker = new Breaker("The bus", probe, { now: () => time, answeredAt: () => answeredAt });
  });

  const succeeding = async () => {
    calls += 1;
    return calls;
  };
  /** A call that fails after so many milliseconds. */
  const failing = (ms: number, error: Error = new Error("late")) =>
    breaker.run(async () => {
      calls += 1;
      time += ms;
      throw error;
    }, isAnswer);
  const settled = () => new Promise((resolve) => setImmediate(resolve));

  test("lets calls go on after failures that came soon, or were answers", async () => {
    await expect(failing(999)).rejects.toThrow("late");
    await expect(failing(9_000, new ChatError("FORBIDDEN", "no"))).rejects.toThrow("no");
    expect(await breaker.run(succeeding, isAnswer)).toBe(3);
  });

  test("lets calls go on where somebody else was answered meanwhile", async () => {
    answeredAt = 1;
    await expect(failing(1_000)).rejects.toThrow("late");
    expect(await breaker.run(succeeding, isAnswer)).toBe(2);
  });

  test("refuses calls at once after one that had no answer for a second", async () => {
    await expect(failing(1_000)).rejects.toThrow("late");
    await expect(breaker.run(succeeding, isAnswer)).rejects.toMatchObject(refused);
    await expect(breaker.take(succeeding, isAnswer)).rejects.toMatchObject(refused);
    expect(calls).toBe(1);
  });

  test("lets calls go on where another call was answered meanwhile, but not where one only got a turn", async () => {
    let fail = (_: Error): void => {};
    const slow = () =>
      breaker.run(
        () =>
          new Promise<never>((_, reject) => {
            fail = reject;
          }),
        isAnswer,
      );
    const first = slow();
    time = 5_000;
    await breaker.run(succeeding, isAnswer);
    fail(new Error("late"));
    await expect(first).rejects.toThrow("late");
    time = 6_000;
    const second = slow();
    time = 11_000;
    await breaker.take(succeeding, isAnswer);
    fail(new Error("late"));
    await expect(second).rejects.toThrow("late");
    await expect(breaker.run(succeeding, isAnswer)).rejects.toMatchObject(refused);
  });

  test("probes one at a time, within a second after a failure, until one is answered", async () => {
    await expect(failing(1_000)).rejects.toThrow("late");
    time += 1_000;
    for (let times = 0; times < 3; times += 1)
      await expect(breaker.run(succeeding, isAnswer)).rejects.toMatchObject(refused);
    expect(probes).toHaveLength(1);
    probes[0]!.reject(new Error("still away"));
    await settled();
    time += 1_000;
    await expect(breaker.run(succeeding, isAnswer)).rejects.toMatchObject(refused);
    expect(probes).toHaveLength(2);
    probes[1]!.resolve();
    await settled();
    expect(await breaker.run(succeeding, isAnswer)).toBe(2);
  });
});
