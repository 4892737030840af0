import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, test } from "vitest";
import { Patience } from "./patience.js";

describe("patience", () => {
  const never = new Promise<never>(() => {});
  let time: number;
  let patience: Patience;

  beforeEach(() => {
    time = 0;
    patience = new Patience(() => time);
  });

  test("hands on the answer, or what went wrong", async () => {
    expect(await patience.await(Promise.resolve(7), false)).toBe(7);
    await expect(patience.await(Promise.reject(new Error("no")), false)).rejects.toThrow("no");
  });

  test("ends after 120 ms, for all who began together", async () => {
    const all = [patience.await(never, false), patience.await(never, false)];
    for (const call of all) await expect(call).rejects.toThrow("Redis did not answer within 120 ms");
  });

  test("is short for those who only try, and nobody else hurries because of them", async () => {
    await expect(patience.await(never, true)).rejects.toThrow("within 30 ms");
    await expect(patience.await(never, false)).rejects.toThrow("within 120 ms");
  });

  test("is short for a moment after someone has waited for long, so that questions one after the other lose 150 ms in all", async () => {
    await expect(patience.await(never, false)).rejects.toThrow("within 120 ms");
    time += 299;
    await expect(patience.await(never, false)).rejects.toThrow("within 30 ms");
    time += 1;
    await expect(patience.await(never, false)).rejects.toThrow("within 120 ms");
  });

  test("is short after an answer that came late, too", async () => {
    const late = patience.await(never, false).catch(() => {});
    await sleep(100);
    // On a busy machine both times may have come at once: what is late is seen in the immediates behind them.
    await new Promise((resolve) => setImmediate(resolve));
    await expect(patience.await(never, false)).rejects.toThrow("within 30 ms");
    await late;
  });

  test("does not end for answers that came while the process was busy", async () => {
    const { port1, port2 } = new MessageChannel();
    const answer = new Promise((resolve) => port2.once("message", resolve));
    const call = patience.await(answer, false);
    port1.postMessage("here");
    // Both time and message have come when the process is free again.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    expect(await call).toBe("here");
    port1.close();
    await expect(patience.await(never, false)).rejects.toThrow("within 120 ms");
  });
});
