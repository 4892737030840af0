import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { fiveKeys, returnsKey, subscriptionsKey } from "../../shared/redis/keys.js";
import type { ScriptArguments } from "../../shared/redis/scripts.js";
import { TIMING } from "../../shared/redis/timing.js";
import { newUsers } from "../support/client.js";
import { type RunScript, scriptsOn } from "../support/lua.js";
import { type RedisServer, startRedisServer } from "../support/redisServer.js";

/**
 * The scripts of the sessions by themselves on a real Redis: literal arguments, answers and keys, every
 * moment handed in.
 */
let server: RedisServer;
let redis: Redis;
let run: RunScript;
let userId: number;

beforeAll(async () => {
  server = await startRedisServer();
  redis = new Redis(server.url);
  run = scriptsOn(redis);
});
afterAll(async () => {
  redis.disconnect();
  await server.close();
});
beforeEach(() => {
  [userId] = newUsers(1) as [number];
});

const T = 1_760_000_000_000;
const { claimMs, windowMs, lateMs, returnMs, othersMs, clocksMs } = TIMING;

const key = (name: string): string => `{user:${userId}}:${name}`;
const five = (): readonly string[] => fiveKeys(userId);

/**
 * A new connection at a moment, three sessions being allowed; nobody has been asked for, and nobody needs to
 * be.
 */
const register = (connectionId: string, now: number, more: ScriptArguments = {}) =>
  run("register", [...five(), returnsKey(userId)], {
    connectionId,
    age: 0,
    queue: "",
    limit: 3,
    asked: [],
    gone: [],
    evictsUnasked: true,
    claimMs,
    lateMs,
    returnMs,
    othersMs,
    clocksMs,
    now,
    ...more,
  });

const admit = (connectionId: string, now: number, more: ScriptArguments = {}) =>
  run("admit", [...five(), key("messages")], { connectionId, limit: 0, windowMs, claimMs, now, ...more });

const logOut = (device: string | undefined, now: number) => run("logOut", five(), { device, claimMs, now });
const claimUnfinished = (now: number) => run("claimUnfinished", five(), { claimMs, now });
const remove = (connectionId: string, now: number) =>
  run("remove", [...five(), subscriptionsKey(userId, connectionId)], { connectionId, now });

describe("register", () => {
  test("writes order, device, likeness and queue, for a week", async () => {
    expect(await register("a", T)).toEqual(["live", `${T}`, 0, 1]);
    await register("b", T, { device: "phone", queue: "my queue" });
    await register("c", T + 5, { likeness: "look" });
    expect(await redis.hgetall(key("sessions"))).toEqual({
      a: `${T} - `,
      b: `${T + 1} phone my queue`,
      c: `${T + 5} -;look `,
    });
    expect(await redis.pttl(key("sessions"))).toBeGreaterThan(6 * 86_400_000);
  });

  test("again changes nothing, and knows its queue from before", async () => {
    await register("a", T, { queue: "q" });
    expect(await register("a", T + 9_000)).toEqual(["live", `${T}`, 0, 0]);
    expect(await redis.hget(key("sessions"), "a")).toBe(`${T} - q`);
  });

  test("asks for all others before it evicts one, and changes nothing until then", async () => {
    for (const id of ["a", "b", "c"]) await register(id, T);
    const before = await redis.hgetall(key("sessions"));
    const answer = (await register("d", T, { asked: ["b"], evictsUnasked: false })) as string[];
    expect([answer[0], ...answer.slice(1).sort()]).toEqual(["ask", "a", "c"]);
    expect(await redis.hgetall(key("sessions"))).toEqual(before);
  });

  test("frees the slots of those that are gone, and evicts nobody then", async () => {
    for (const id of ["a", "b", "c"]) await register(id, T);
    const asked = { asked: ["a", "b", "c"], gone: ["b", "c"], evictsUnasked: false };
    expect(await register("d", T + 10, asked)).toEqual(["live", `${T + 10}`, 2, 1]);
    expect(Object.keys(await redis.hgetall(key("sessions"))).sort()).toEqual(["a", "d"]);
  });

  test("evicts the oldest over the limit, and hands it to the caller with the first claim", async () => {
    for (const id of ["a", "b", "c"]) await register(id, T, { queue: `q ${id}` });
    const answer = await register("d", T + 10);
    expect(answer).toEqual(["live", `${T + 10}`, 0, 1, "a", "SESSION_LIMIT", "q a"]);
    expect(await redis.zscore(key("closing"), "a")).toBe(String(T + 10 + 5_000));
    expect(await redis.hget(key("details"), "a")).toBe("SESSION_LIMIT q a");
    expect(await redis.zscore(key("ended"), "a")).toBe(String(T + 10));
    expect(await register("a", T + 11)).toEqual(["closing", 0, 0, 0]);
    expect(await register("a", T + 5_010)).toEqual(["evicted", 0, 0, 0, "a", "SESSION_LIMIT", "q a"]);
  });

  test("gives a claim from before the clock was set back to the next that comes", async () => {
    for (const id of ["a", "b", "c", "d"]) await register(id, T);
    expect(await register("a", T - 3_600_000)).toEqual(["evicted", 0, 0, 0, "a", "SESSION_LIMIT", ""]);
  });

  test("puts one that comes late among those of its time, from a second on", async () => {
    expect(await register("a", T, { age: 1_000 })).toEqual(["live", `${T - 1_000}`, 0, 1]);
    expect(await register("b", T, { age: 999 })).toEqual(["live", `${T}`, 0, 1]);
    expect(await register("c", T, { order: 7 })).toEqual(["live", "7", 0, 1]);
  });

  test.each([
    ["a device comes back within a minute", { device: "x" }, { device: "x" }, 60_000, true],
    ["a device comes back later", { device: "x" }, { device: "x" }, 60_001, false],
    ["another device comes", { device: "x" }, { device: "y" }, 1_000, false],
    ["one that looks alike comes a second later", { likeness: "x" }, { likeness: "x" }, 1_000, true],
    ["one that looks alike comes sooner", { likeness: "x" }, { likeness: "x" }, 999, false],
    ["its user asks for the slot", { device: "x" }, { device: "x", takesOver: true }, 1_000, false],
    ["it looks like nothing", {}, {}, 1_000, false],
  ])(
    "the limit's victim is the newcomer itself when it returns: %s",
    async (_case, first, then, after, is) => {
      await register("a", T, first);
      for (const id of ["b", "c"]) await register(id, T);
      await register("d", T + 10);
      const [standing, , , , victim] = (await register("e", T + 10 + after, then)) as string[];
      expect([standing, victim]).toEqual(is ? ["evicted", "e"] : ["live", "b"]);
    },
  );

  test("replaces an older session of its device, and gives way to a newer one", async () => {
    await register("a", T, { device: "x" });
    const answer = await register("b", T + 10, { device: "x" });
    expect(answer).toEqual(["live", `${T + 10}`, 0, 1, "a", "DEVICE_RECONNECTED", ""]);
    const late = await register("c", T + 9_000, { device: "x", age: 9_000, queue: "q" });
    expect(late).toEqual([
      "evicted",
      `${T}`,
      0,
      1,
      "c",
      "DEVICE_RECONNECTED",
      "q",
      "a",
      "DEVICE_RECONNECTED",
      "",
    ]);
  });

  test.each([
    ["which connected well before", 5_101, "evicted"],
    ["which connected within what clocks differ by", 5_100, "live"],
  ])("after a logout of its device evicts one %s", async (_case, age, standing) => {
    await logOut("x", T);
    const own = { device: "x", age, lateMs: 100_000 };
    expect(((await register("a", T + 5_000, own)) as string[])[0]).toBe(standing);
    expect(((await register("b", T + 5_000, { ...own, device: "y" })) as string[])[0]).toBe("live");
  });

  test("keeps ids with whatever characters JSON and Lua take", async () => {
    const odd = `"\\'{}[] \t\u00e9가😀\u0001%d%s`;
    await register("a", T, { queue: odd });
    expect(await redis.hget(key("sessions"), "a")).toBe(`${T} - ${odd}`);
    expect(await logOut(undefined, T)).toEqual(["a", "LOGGED_OUT", odd]);
  });
});

describe("admit", () => {
  test("knows its order and counts against the limit, and says how long to wait", async () => {
    await register("a", T);
    expect(await admit("a", T, { limit: 2 })).toEqual(["live", `${T}`, 0]);
    expect(await admit("a", T + 1, { limit: 2 })).toEqual(["live", `${T}`, 0]);
    expect(await admit("a", T + 2, { limit: 2 })).toEqual(["live", `${T}`, 60]);
    expect(await admit("a", T + 60_000, { limit: 2 })).toEqual(["live", `${T}`, 1]);
    expect(await admit("a", T + 60_001, { limit: 2 })).toEqual(["live", `${T}`, 0]);
    expect(await redis.lrange(key("messages"), 0, -1)).toEqual([`${T + 1}`, `${T + 60_001}`]);
  });

  test("does not know one that has to register, and counts it", async () => {
    expect(await admit("a", T, { limit: 1 })).toEqual(["unknown", 0, 0]);
    expect(await admit("a", T, { limit: 1 })).toEqual(["unknown", 0, 61]);
  });

  test("keeps the queue where none is said, and takes what is said, an empty one too", async () => {
    await register("a", T, { queue: "first" });
    for (const [queue, kept] of [
      [undefined, "first"],
      ["second", "second"],
      ["", ""],
    ] as const) {
      await admit("a", T, { queue });
      expect(await redis.hget(key("sessions"), "a")).toBe(`${T} - ${kept}`);
    }
  });

  test("writes an entry again, as it was, when its time is half over", async () => {
    await register("a", T, { likeness: "look", queue: "q" });
    await register("b", T, { takesOver: true, likeness: "look" });
    await redis.pexpire(key("sessions"), 3 * 86_400_000);
    for (const id of ["a", "b"]) await admit(id, T);
    expect(await redis.hgetall(key("sessions"))).toEqual({ a: `${T} -;look q`, b: `${T + 1} -;! ` });
    expect(await redis.pttl(key("sessions"))).toBeGreaterThan(6 * 86_400_000);
  });

  test("of an evicted connection is not counted, and claims it when nobody else has", async () => {
    for (const id of ["a", "b", "c", "d"]) await register(id, T);
    expect(await admit("a", T + 4_999, { limit: 1 })).toEqual(["closing", 0, 0]);
    expect(await admit("a", T + 5_000, { limit: 1 })).toEqual(["evicted", 0, 0, "a", "SESSION_LIMIT", ""]);
    expect(await redis.exists(key("messages"))).toBe(0);
    await run("closed", five(), { connectionId: "a" });
    expect(await admit("a", T + 5_001, { limit: 1 })).toEqual(["evicted", 0, 0]);
  });

  test("hands over what nobody has closed in time, once", async () => {
    for (const id of ["a", "b", "c", "d"]) await register(id, T);
    expect(await admit("b", T + 4_999)).toEqual(["live", `${T + 1}`, 0]);
    expect(await admit("b", T + 5_000)).toEqual(["live", `${T + 1}`, 0, "a", "SESSION_LIMIT", ""]);
    expect(await admit("c", T + 5_001)).toEqual(["live", `${T + 2}`, 0]);
  });

  test("goes by Redis's own clock where no moment is handed in", async () => {
    const clock = async (): Promise<number> => {
      const [seconds, micros] = (await redis.time()).map(Number) as [number, number];
      return seconds * 1_000 + Math.floor(micros / 1_000);
    };
    const before = await clock();
    await run("take", [key("writes")], { limit: 1, windowMs });
    const [moment] = await redis.lrange(key("writes"), 0, -1);
    expect(Number(moment)).toBeGreaterThanOrEqual(before);
    expect(Number(moment)).toBeLessThanOrEqual(await clock());
  });
});

describe("logOut", () => {
  test("evicts all of a user, or those of a device, and notes when", async () => {
    await register("a", T, { device: "x", queue: "q" });
    await register("b", T, { device: "y" });
    expect(await logOut("x", T + 5)).toEqual(["a", "LOGGED_OUT", "q"]);
    expect(await redis.hgetall(key("logouts"))).toEqual({ x: String(T + 5) });
    expect(await logOut(undefined, T + 6)).toEqual(["b", "LOGGED_OUT", "", "a", "LOGGED_OUT", "q"]);
    expect(await redis.hgetall(key("logouts"))).toEqual({ x: String(T + 5), "": String(T + 6) });
    expect(await redis.exists(key("sessions"))).toBe(0);
  });

  test("hands over what others are at, too, and claims it", async () => {
    for (const id of ["a", "b", "c", "d"]) await register(id, T);
    expect(await logOut("none", T + 1_000)).toEqual(["a", "SESSION_LIMIT", ""]);
    expect(await redis.zscore(key("closing"), "a")).toBe(String(T + 6_000));
  });

  test("hands over nothing that has been closed", async () => {
    for (const id of ["a", "b", "c", "d"]) await register(id, T);
    expect(await run("closed", five(), { connectionId: "a" })).toBe(1);
    expect(await run("closed", five(), { connectionId: "a" })).toBe(0);
    expect(await logOut("none", T)).toEqual([]);
  });
});

describe("claimUnfinished", () => {
  test("counts what is not closed, and hands over ten at a time of those that nobody is at", async () => {
    for (let index = 0; index < 12; index += 1) await register(`c${index}`, T, { limit: 0 });
    await logOut(undefined, T);
    expect(await claimUnfinished(T + 4_999)).toEqual([12]);
    const [count, ...first] = (await claimUnfinished(T + 5_000)) as unknown[];
    expect([count, first.length]).toEqual([12, 30]);
    expect((await claimUnfinished(T + 5_000)) as unknown[]).toHaveLength(1 + 6);
    expect(await claimUnfinished(T + 5_000)).toEqual([12]);
  });

  test("forgets one whose details are lost", async () => {
    await redis.zadd(key("closing"), T, "a");
    expect(await claimUnfinished(T)).toEqual([0]);
  });
});

test("remove frees a slot for good, says whether there was one, and what was noted", async () => {
  await register("a", T);
  await redis.zadd(subscriptionsKey(userId, "a"), T + 1, "r2 s", T, "r1 s 1");
  expect(await remove("a", T + 1)).toEqual([1, "r1 s 1", "r2 s"]);
  expect(await remove("a", T + 2)).toEqual([0, "r1 s 1", "r2 s"]);
  expect(await register("a", T + 3)).toEqual(["evicted", 0, 0, 0]);
  // Ten minutes later no frame of it can be under way: it is forgotten with the next that ends.
  await remove("b", T + 600_002);
  expect(await redis.zrangebyscore(key("ended"), "-inf", "+inf")).toEqual(["b"]);
});

describe("the sweep's users", () => {
  const users = () => `{sessions-${userId}}:left`;
  const note = (id: number, now: number) => run("noteUnfinished", [users()], { userId: id, now });
  const list = (now: number, most = 10) => run("listUnfinished", [users()], { most, claimMs, now });
  const lookedAfter = (id: number, noted: number, isDone: boolean, now: number) =>
    run("noteLookedAfter", [users()], { userId: id, noted, isDone, now });

  test("are listed when the claims of their time have run out, the oldest first, and not too many", async () => {
    await note(7, T + 1);
    await note(9_007_199_254_740_991, T);
    expect(await list(T + 4_999)).toEqual([]);
    expect(await list(T + 5_000)).toEqual(["9007199254740991", `${T}`]);
    expect(await list(T + 5_001)).toEqual(["9007199254740991", `${T}`, "7", `${T + 1}`]);
    expect(await list(T + 5_001, 1)).toEqual(["9007199254740991", `${T}`]);
  });

  test("are listed soon after the clock was set back", async () => {
    await note(7, T);
    expect(await list(T - 3_600_000)).toEqual(["7", `${T}`]);
  });

  test("are forgotten when nothing is left, unless they were noted again since", async () => {
    await note(7, T);
    await note(7, T + 1);
    expect(await lookedAfter(7, T, true, T + 5_000)).toBe(0);
    expect(await lookedAfter(7, T + 1, true, T + 5_000)).toBe(1);
    expect(await list(T + 99_000)).toEqual([]);
  });

  test("are put behind the others when something is left", async () => {
    await note(7, T);
    await note(8, T + 1);
    expect(await lookedAfter(7, T, false, T + 5_000)).toBe(1);
    expect(await lookedAfter(7, T, true, T + 5_000)).toBe(0);
    expect(await list(T + 99_000)).toEqual(["8", `${T + 1}`, "7", `${T + 5_000}`]);
  });
});
