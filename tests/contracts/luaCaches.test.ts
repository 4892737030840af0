import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type RunScript, scriptsOn } from "../support/lua.js";
import { type RedisServer, startRedisServer } from "../support/redisServer.js";

/** The other scripts by themselves on a real Redis: members, subscription ids, subscriptions and pieces. */
let server: RedisServer;
let redis: Redis;
let run: RunScript;

beforeAll(async () => {
  server = await startRedisServer();
  redis = new Redis(server.url);
  run = scriptsOn(redis);
});
afterAll(async () => {
  redis.disconnect();
  await server.close();
});
beforeEach(() => redis.flushall());

describe("the members of a room", () => {
  const keys = ["{room:1}:members", "{room:1}:version"] as const;
  const put = (version: string, userIds: readonly number[]) => run("putMembers", keys, { version, userIds });
  const isMember = (userId: number) => run("isMember", [keys[0]], { userId });

  test("are known once they are put, for five minutes", async () => {
    expect(await isMember(1)).toBe(-1);
    expect(await put("0", [1, 9_007_199_254_740_991])).toBe(1);
    expect([await isMember(1), await isMember(2), await isMember(9_007_199_254_740_991)]).toEqual([1, 0, 1]);
    expect((await redis.smembers(keys[0])).sort()).toEqual(["1", "9007199254740991"]);
    expect(await redis.ttl(keys[0])).toBeLessThanOrEqual(300);
  });

  test.each([1, 999, 1_000, 1_001, 10_000])("are put whole where there are %i", async (count) => {
    const ids = Array.from({ length: count }, (_, index) => 2 ** 40 + index);
    expect(await put("0", ids)).toBe(1);
    expect((await redis.smembers(keys[0])).map(Number).sort((a, b) => a - b)).toEqual(ids);
  });

  test("are not put by a fill of another version, and dropping raises it", async () => {
    await put("0", [1]);
    expect(await run("dropMembers", keys, {})).toBe(1);
    expect(await redis.get(keys[1])).toBe("1");
    expect(await put("0", [1])).toBe(0);
    expect(await isMember(1)).toBe(-1);
    expect(await put("1", [2])).toBe(1);
    expect([await isMember(1), await isMember(2)]).toEqual([0, 1]);
  });
});

describe("a subscription id", () => {
  const keys = ["{user:1}:sessions", "{user:1}:ids:r1"] as const;
  const take = (connectionId: string, id: string, limit = 2) =>
    run("takeId", keys, { connectionId, id, limit });
  const entries = async () => (await redis.smembers(keys[1])).sort();

  test("is taken up to the limit of different ones, by all live connections together", async () => {
    await redis.hset(keys[0], { a: "1 - ", b: "2 - " });
    expect([await take("a", "one"), await take("b", "one"), await take("b", "two 2")]).toEqual([1, 1, 1]);
    expect([await take("a", "three"), await take("a", "two 2")]).toEqual([0, 1]);
    expect(await entries()).toEqual(["a one", "a two 2", "b one", "b two 2"]);
  });

  test("of a connection without a slot does not count, and is dropped; the caller's own does", async () => {
    await redis.sadd(keys[1], "gone one", "gone two", "a three");
    expect(await take("a", "four")).toBe(1);
    expect(await take("a", "five")).toBe(0);
    expect(await entries()).toEqual(["a four", "a three"]);
  });

  test("is free again when it is given back by each", async () => {
    await redis.hset(keys[0], { a: "1 - ", b: "2 - " });
    for (const id of ["a", "b"]) await take(id, "one", 1);
    const leave = (connectionId: string) => run("leaveId", [keys[1]], { connectionId, id: "one" });
    expect([await leave("a"), await take("a", "two", 1)]).toEqual([1, 0]);
    expect([await leave("b"), await take("a", "two", 1)]).toEqual([1, 1]);
  });
});

describe("a noted subscription", () => {
  const keys = ["{user:1}:ended", "{user:1}:subscriptions:a"] as const;
  const note = (wire: string, now: number) =>
    run("noteSubscription", keys, { connectionId: "a", lane: "room:1", wire, now });
  const noted = () => redis.zrange(keys[1], "0", "-1");

  test("is kept for ten minutes, in the order of the notes", async () => {
    expect([await note("s 1", 1_000_000), await note("s 2", 1_000_001)]).toEqual([1, 1]);
    expect(await noted()).toEqual(["room:1 s 1", "room:1 s 2"]);
    await note("s 3", 1_600_000);
    expect(await noted()).toEqual(["room:1 s 2", "room:1 s 3"]);
  });

  test("is none where the connection has lost its slot", async () => {
    await redis.zadd(keys[0], 1, "a");
    expect(await note("s", 1_000_000)).toBe(0);
    expect(await noted()).toEqual([]);
  });
});

test("a piece is kept as its bytes, only where those before it are there, and the first begins again", async () => {
  const bytes = Buffer.from([0, 255, 128, 10, 13, 0]);
  const keep = (offset: number, piece: Buffer) => run("keepPiece", ["{user:1}:pieces:a"], { offset }, piece);
  const kept = () => redis.getBuffer("{user:1}:pieces:a");
  expect(await keep(3, bytes)).toBe(0);
  expect([await keep(0, bytes), await keep(6, bytes), await keep(6, bytes)]).toEqual([1, 1, 1]);
  expect(await kept()).toEqual(Buffer.concat([bytes, bytes]));
  expect(await keep(0, Buffer.from("x"))).toBe(1);
  expect(await kept()).toEqual(Buffer.from("x"));
  expect(await redis.pttl("{user:1}:pieces:a")).toBeGreaterThan(0);
});
