import { setTimeout as pause } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { Stop, TimeLimit } from "./stop.js";

test("only the first reason counts, and each listener hears of it once", () => {
  const stop = new Stop();
  const heard: string[] = [];
  const removed = () => heard.push("removed");
  stop.add(() => heard.push("first"));
  stop.add(removed);
  stop.add(() => heard.push("second"));
  stop.remove(removed);
  expect(stop.reason).toBeUndefined();
  stop.now("the client has gone");
  stop.now("the server ends");
  expect(heard).toEqual(["first", "second"]);
  expect(stop.reason?.message).toBe("the client has gone");
});

test("who comes later is told at once", () => {
  const stop = new Stop();
  stop.now("over");
  let told = 0;
  stop.add(() => {
    told += 1;
  });
  expect(told).toBe(1);
});

test("work that takes longer rejects with the reason, and its own failure is not heard of any more", async () => {
  const stop = new Stop();
  const late = stop.during(pause(20).then(() => Promise.reject(new Error("late"))));
  stop.now("over");
  await expect(late).rejects.toThrow("over");
  await pause(40);
});

test("work that ends in time gives what it gives, and leaves no listener", async () => {
  const stop = new Stop();
  const [added, removed] = [vi.spyOn(stop, "add"), vi.spyOn(stop, "remove")];
  await expect(stop.during(Promise.resolve(1))).resolves.toBe(1);
  await expect(stop.during(Promise.reject(new Error("failed")))).rejects.toThrow("failed");
  await pause(0);
  expect(added).toHaveBeenCalledTimes(2);
  expect(removed.mock.calls).toEqual(added.mock.calls);
  stop.now("over");
  await expect(stop.during(Promise.resolve(2))).rejects.toThrow("over");
});

test("a time limit says how long it was, unless the work ends before", async () => {
  const [over, ended] = [new TimeLimit(10), new TimeLimit(10)];
  ended.end();
  await pause(40);
  expect(over.reason?.message).toBe("no answer within 10 ms");
  expect(ended.reason).toBeUndefined();
});
