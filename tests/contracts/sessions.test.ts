import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type {
  EvictedSession,
  RedisStore,
  Registered,
  Registering,
  Session,
} from "../../shared/redis/ports.js";
import { connectRedis } from "../../shared/redis/redis.js";
import { TIMING } from "../../shared/redis/timing.js";
import { FakeSessionStore } from "../fakes/sessionStore.js";
import { newUsers } from "../support/client.js";
import { UNLESS_LATE, unlessRedisIsLate } from "../support/late.js";
import { type RedisServer, startRedisServer } from "../support/redisServer.js";

/** A server of these tests alone: the sweep of a running stack would close what they leave. */
let server: RedisServer;
beforeAll(async () => {
  server = await startRedisServer();
});
afterAll(() => server.close());

const { retry } = UNLESS_LATE;
unlessRedisIsLate();

/** The clock of every store, which only goes forward: no test waits for it. */
let time = Date.now();
const now = (): number => time;
/** What a process has for telling and closing what it evicted, and a little more. */
const CLAIM_IS_OVER_MS = TIMING.claimMs + 1;

const nobodyIsGone = async (): Promise<string[]> => [];

const idsOf = (ended: readonly EvictedSession[]): string[] =>
  ended.map(({ connectionId }) => connectionId).sort();

describe.each<[string, () => readonly [RedisStore, RedisStore]]>([
  [
    "the fake",
    () => {
      const store = new FakeSessionStore({ now });
      return [store, store];
    },
  ],
  [
    "Redis",
    () => {
      const config = { urls: [server.url], cluster: false };
      return [connectRedis(config, { now }), connectRedis(config, { now })];
    },
  ],
])("a user's sessions, in %s", { retry }, (_name, open) => {
  let store: RedisStore;
  let other: RedisStore;
  let userId: number;

  beforeEach(() => {
    [store, other] = open();
    [userId] = newUsers(1) as [number];
  });
  afterEach(() => Promise.all([store.close(), other.close()]));

  const session = (connectionId: string, more: Partial<Session> = {}): Session => ({
    userId,
    connectionId,
    queue: "",
    ...more,
  });

  /** A connection that has opened. */
  async function connect(
    connectionId: string,
    more: Partial<Session> = {},
    how: Partial<Registering> = {},
  ): Promise<Registered> {
    const registered = await store.register(session(connectionId, more), {
      limit: 3,
      whichAreGone: nobodyIsGone,
      ...how,
    });
    if (!registered) throw new Error("the store is away");
    return registered;
  }

  /** `evicted` also while somebody is about to close it. */
  const standing = async (connectionId: string): Promise<string | undefined> => {
    const known = (await other.admit(session(connectionId)))?.standing;
    return known === "closing" ? "evicted" : known;
  };

  test("have slots up to the limit, and one more evicts the oldest", async () => {
    for (const id of ["a", "b", "c"])
      expect(await connect(id)).toMatchObject({ standing: "live", gone: 0, isNew: true, toClose: [] });
    expect((await connect("d")).toClose).toEqual([{ connectionId: "a", reason: "SESSION_LIMIT", queue: "" }]);
    expect(idsOf((await connect("e")).toClose)).toEqual(["b"]);
    expect(await Promise.all(["a", "b", "c", "d", "e", "f"].map(standing))).toEqual([
      "evicted",
      "evicted",
      "live",
      "live",
      "live",
      "unknown",
    ]);
  });

  test("that the limit evicted and that come straight back lose their own slot, not another's", async () => {
    for (const id of ["a", "b", "c", "d"]) await connect(id, { device: `device-${id}` });
    for (let times = 1; times <= 3; times += 1) {
      const id = `a-again-${times}`;
      const back = await connect(id, { device: "device-a" });
      expect(back).toMatchObject({
        standing: "evicted",
        toClose: [{ connectionId: id, reason: "SESSION_LIMIT" }],
      });
    }
    expect(await Promise.all(["b", "c", "d"].map(standing))).toEqual(["live", "live", "live"]);
    // Another device is not one that comes back. Where a slot is free, any session gets it.
    expect(idsOf((await connect("e", { device: "device-e" })).toClose)).toEqual(["b"]);
    await store.remove(userId, "c");
    expect(await connect("a-at-last", { device: "device-a" })).toMatchObject({
      standing: "live",
      toClose: [],
    });
  });

  test("of no device that look like one that was ended are others at first, and that one a second later", async () => {
    const phone = { likeness: "phone" };
    for (const id of ["a", "b", "c", "d"]) await connect(id, phone);
    time += TIMING.othersMs - 1;
    expect(idsOf((await connect("e", phone)).toClose)).toEqual(["b"]);
    time += 1;
    expect(await connect("again", phone)).toMatchObject({
      standing: "evicted",
      toClose: [{ connectionId: "again", reason: "SESSION_LIMIT" }],
    });
    expect(idsOf((await connect("other", { likeness: "tablet" })).toClose)).toEqual(["c"]);
    expect(idsOf((await connect("unknown")).toClose)).toEqual(["d"]);
  });

  test("whose user asks for it take another's slot, whatever was evicted before", async () => {
    for (const id of ["a", "b", "c", "d"]) await connect(id, { device: `device-${id}` });
    const { toClose } = await connect("again", { device: "device-a", takesOver: true });
    expect(idsOf(toClose)).toEqual(["b"]);
    expect(await standing("again")).toBe("live");
  });

  test("take few subscription ids of a destination, all live ones together", async () => {
    for (const id of ["a", "b"]) await connect(id);
    const take = (connectionId: string, id: string, key = "r1") =>
      other.takeId(userId, connectionId, key, id, 3);
    expect([await take("a", "1"), await take("a", "2 2"), await take("b", "3")]).toEqual([true, true, true]);
    expect([await take("a", "4"), await take("b", "2 2"), await take("a", "1")]).toEqual([false, true, true]);
    expect(await take("a", "4", "r2")).toBe(true);
    await store.leaveId(userId, "a", "r1", "2 2");
    expect(await take("a", "4")).toBe(false);
    await store.leaveId(userId, "b", "r1", "2 2");
    expect(await take("a", "4")).toBe(true);
    // A connection that is gone does not count, though it gave no id back.
    await store.remove(userId, "a");
    expect([await take("b", "5"), await take("b", "6"), await take("b", "7")]).toEqual([true, true, false]);
  });

  test("are noted with what they subscribe to, until they end", async () => {
    for (const id of ["a", "b"]) await connect(id);
    const first = { lane: "room:1", wire: "sub 0" };
    const second = { lane: "room:1p", wire: "sub 0" };
    for (const one of [first, second, first])
      expect(await store.noteSubscription(userId, "a", one)).toBe(true);
    const removed = await store.remove(userId, "a");
    expect(removed?.hadSlot).toBe(true);
    expect([...removed!.subscriptions].sort((x, y) => x.lane.length - y.lane.length)).toEqual([
      first,
      second,
    ]);
    expect(await other.noteSubscription(userId, "a", { lane: "room:2", wire: "late" })).toBe(false);
    // The event may come again.
    expect(await other.remove(userId, "a")).toEqual({ ...removed, hadSlot: false });
    expect(await store.remove(userId, "b")).toEqual({ hadSlot: true, subscriptions: [] });
    // One of which the store knows nothing, as when it has lost its data, is there as far as is known.
    expect(await store.noteSubscription(userId, "unknown", first)).toBe(true);
  });

  test("that come back do so by their own: a lowered limit still ends the oldest", async () => {
    for (const id of ["a", "b", "c", "d"]) await connect(id, { device: `device-${id}` });
    const { toClose } = await connect("again", { device: "device-a" }, { limit: 1 });
    expect(idsOf(toClose)).toEqual(["again", "b", "c"]);
    expect(await standing("d")).toBe("live");
  });

  test("may bring their frames in pieces, which are kept once, and only for that connection", async () => {
    const bytes = Buffer.from("가\u0000나 끝");
    for (const [at, piece] of [...bytes].entries()) {
      expect(await store.keepPiece(userId, "a", at, Buffer.from([piece]))).toBe(true);
      expect(await other.keepPiece(userId, "a", at, Buffer.from([piece]))).toBe(true);
    }
    expect(Buffer.from((await other.readPieces(userId, "a", bytes.length))!)).toEqual(bytes);
    expect(Buffer.from((await other.readPieces(userId, "a", 5))!)).toEqual(bytes.subarray(0, 5));
    expect(await other.readPieces(userId, "a", bytes.length + 1)).toBeUndefined();
    expect(await other.readPieces(userId, "b", 1)).toBeUndefined();
    // What stood before it is not there: no frame may be made of half of it.
    expect(await store.keepPiece(userId, "b", 3, bytes)).toBe(false);
    // The next frame begins with its first piece.
    await store.keepPiece(userId, "a", 0, Buffer.from("x"));
    expect(await store.readPieces(userId, "a", 2)).toBeUndefined();
  });

  test("are as many as they like where there is no limit", async () => {
    for (let index = 0; index < 20; index += 1)
      expect((await connect(`c${index}`, {}, { limit: 0 })).toClose).toEqual([]);
  });

  test("are ended down to a limit that was lowered", async () => {
    for (let index = 0; index < 6; index += 1) await connect(`c${index}`, {}, { limit: 0 });
    expect(idsOf((await connect("new", {}, { limit: 2 })).toClose)).toEqual(["c0", "c1", "c2", "c3", "c4"]);
  });

  test("come in the order of registering", async () => {
    const orders = [];
    for (const id of ["a", "b", "c"]) orders.push((await connect(id)).order);
    expect(orders).toEqual([...orders].sort((a, b) => a - b));
    expect(new Set(orders).size).toBe(3);
  });

  test("are not changed by registering again", async () => {
    const first = await connect("a");
    await connect("b");
    await connect("c");
    expect(await connect("a")).toEqual({
      standing: "live",
      order: first.order,
      gone: 0,
      isNew: false,
      toClose: [],
    });
    expect(idsOf((await connect("d")).toClose)).toEqual(["a"]);
  });

  test("of the same device take each other's slot, and no other's", async () => {
    await connect("a", { device: "phone" });
    await connect("b", { device: "desktop" });
    await connect("c");
    expect((await connect("d", { device: "phone" })).toClose).toEqual([
      { connectionId: "a", reason: "DEVICE_RECONNECTED", queue: "" },
    ]);
    expect(await Promise.all(["a", "b", "c", "d"].map(standing))).toEqual([
      "evicted",
      "live",
      "live",
      "live",
    ]);
  });

  test("without a device are not one device", async () => {
    await connect("a");
    expect((await connect("b")).toClose).toEqual([]);
  });

  test("of a device that are counted late leave it to the later one", async () => {
    const { order } = await connect("late", { device: "phone" });
    const userBefore = userId;
    [userId] = newUsers(1) as [number];
    await connect("new", { device: "phone" }, {});
    const late = await connect("old", { device: "phone", order: order - 60_000 });
    expect(late.standing).toBe("evicted");
    expect(late.toClose).toMatchObject([{ connectionId: "old", reason: "DEVICE_RECONNECTED" }]);
    expect(await standing("new")).toBe("live");
    userId = userBefore;
  });

  test("whose connections are gone free their slots, and none is evicted", async () => {
    for (const id of ["a", "b", "c"]) await connect(id);
    const asked: string[] = [];
    const registered = await connect(
      "d",
      {},
      {
        whichAreGone: async (ids) => {
          asked.push(...ids);
          return ids.filter((id) => id !== "a");
        },
      },
    );
    expect(asked.sort()).toEqual(["a", "b", "c"]);
    expect(registered).toMatchObject({ standing: "live", gone: 2, toClose: [] });
    expect(await standing("a")).toBe("live");
  });

  test("that were taken for gone and are not are taken in again, in their old order", async () => {
    const { order } = await connect("a");
    for (const id of ["b", "c"]) await connect(id);
    await connect("d", {}, { whichAreGone: async () => ["a"] });
    expect(await standing("a")).toBe("unknown");
    const again = await connect("a", { order });
    expect(again.standing).toBe("evicted");
    expect(again.toClose).toMatchObject([{ connectionId: "a", reason: "SESSION_LIMIT" }]);
  });

  test("are asked for only when one would lose its slot", async () => {
    const asked: string[][] = [];
    const whichAreGone = async (ids: readonly string[]): Promise<string[]> => {
      asked.push([...ids].sort());
      return [];
    };
    for (const id of ["a", "b", "c"]) await connect(id, { device: id }, { whichAreGone });
    expect(asked).toEqual([]);
    await connect("d", { device: "a" }, { whichAreGone });
    expect(asked).toEqual([["a", "b", "c"]]);
  });

  test("that come a hundred at once leave three, and each other is to be told once", async () => {
    const all = Array.from({ length: 100 }, (_, index) => `c${index}`);
    const answers = await Promise.all(
      all.map((id, index) =>
        (index % 2 ? store : other).register(session(id), { limit: 3, whichAreGone: nobodyIsGone }),
      ),
    );
    const told = answers.flatMap((answer) => idsOf(answer!.toClose));
    expect(new Set(told).size).toBe(97);
    expect(told).toHaveLength(97);
    const standings = await Promise.all(all.map(standing));
    expect(standings.filter((one) => one === "live")).toHaveLength(3);
    expect(standings.filter((one) => one === "evicted")).toHaveLength(97);
  });

  test("that have ended don't come back, by a frame or by registering", async () => {
    for (const id of ["a", "b", "c", "d"]) await connect(id);
    expect(await standing("a")).toBe("evicted");
    // The process that evicted it tells it: no other is to do that as well.
    expect(await connect("a")).toMatchObject({ standing: "closing", toClose: [] });
    expect(await Promise.all(["b", "c", "d"].map(standing))).toEqual(["live", "live", "live"]);
  });

  test("that are gone free their slots, and their last frames don't take them again", async () => {
    for (const id of ["a", "b", "c"]) await connect(id);
    expect(await store.remove(userId, "b")).toMatchObject({ hadSlot: true });
    expect(await store.remove(userId, "b")).toMatchObject({ hadSlot: false });
    expect((await connect("d")).toClose).toEqual([]);
    expect(await standing("b")).toBe("evicted");
    expect((await connect("b")).standing).toBe("evicted");
  });

  test("are told on the queue that they listen on", async () => {
    await connect("a");
    await store.admit(session("a", { queue: "my queue: 1" }));
    await store.admit(session("a", { queue: undefined }));
    await connect("b");
    await connect("c");
    expect((await connect("d")).toClose).toMatchObject([{ connectionId: "a", queue: "my queue: 1" }]);
  });

  test("that were not closed are handed to another one after a while, and only to one", async () => {
    for (const id of ["a", "b", "c", "d"]) await connect(id);
    expect((await other.admit(session("b")))?.toClose).toEqual([]);
    time += CLAIM_IS_OVER_MS;
    const answers = await Promise.all(["b", "c", "d"].map((id) => other.admit(session(id))));
    const handed = answers.flatMap((answer) => answer?.toClose ?? []);
    expect(handed).toEqual([{ connectionId: "a", reason: "SESSION_LIMIT", queue: "" }]);
  });

  test("that were told and closed are nobody's task any more", async () => {
    for (const id of ["a", "b", "c", "d"]) await connect(id);
    await store.closed(userId, "a");
    time += CLAIM_IS_OVER_MS;
    expect((await other.admit(session("b")))?.toClose).toEqual([]);
    expect((await other.admit(session("a")))?.toClose).toEqual([]);
  });

  test("that have ended are closing while somebody is at them, and just ended once they are closed", async () => {
    for (const id of ["a", "b", "c", "d"]) await connect(id);
    expect(await other.admit(session("a"))).toEqual({ standing: "closing", retryAfter: 0, toClose: [] });
    await store.closed(userId, "a");
    expect(await other.admit(session("a"))).toEqual({ standing: "evicted", retryAfter: 0, toClose: [] });
  });

  test("that came while the store was away stand among those of their time", async () => {
    for (const id of ["b", "c"]) await connect(id);
    expect(await connect("late", { age: 60_000 })).toMatchObject({ standing: "live", toClose: [] });
    expect((await connect("d")).toClose).toMatchObject([{ connectionId: "late", reason: "SESSION_LIMIT" }]);
    const older = await connect("older", { age: 70_000 });
    expect(older).toMatchObject({ standing: "evicted", toClose: [{ connectionId: "older" }] });
    expect(await Promise.all(["b", "c", "d"].map(standing))).toEqual(["live", "live", "live"]);
  });

  test("that came while the store was away don't replace a later session of their device", async () => {
    await connect("new", { device: "phone" });
    const late = await connect("old", { device: "phone", age: 60_000 });
    expect(late).toMatchObject({ standing: "evicted", toClose: [{ reason: "DEVICE_RECONNECTED" }] });
    expect(await standing("new")).toBe("live");
  });

  test("that are counted only after their user has logged out end then, and later ones don't", async () => {
    await store.logOut(userId, "phone");
    expect(await connect("other", { device: "desktop", age: 60_000 })).toMatchObject({ standing: "live" });
    expect(await connect("late", { device: "phone", age: 60_000 })).toMatchObject({
      standing: "evicted",
      toClose: [{ connectionId: "late", reason: "LOGGED_OUT" }],
    });
    expect(await connect("new", { device: "phone" })).toMatchObject({ standing: "live", toClose: [] });
    await store.logOut(userId, undefined);
    expect(await connect("later", { age: 60_000 })).toMatchObject({ standing: "evicted" });
    expect(await connect("newest", { device: "desktop" })).toMatchObject({ standing: "live" });
  });

  test("that were just connecting when their user logged out end when they are counted", async () => {
    await store.logOut(userId, undefined);
    time += 300;
    expect(await connect("late", { age: 600 })).toMatchObject({
      standing: "evicted",
      toClose: [{ connectionId: "late", reason: "LOGGED_OUT" }],
    });
    expect(await connect("new", { age: 20 })).toMatchObject({ standing: "live" });
  });

  test("that are not closed are handed over by another logout, even if another process has a claim", async () => {
    for (const id of ["a", "b", "c", "d"]) await connect(id);
    expect(idsOf((await other.logOut(userId, "none of theirs")) ?? [])).toEqual(["a"]);
    expect(idsOf((await other.logOut(userId, undefined)) ?? [])).toEqual(["a", "b", "c", "d"]);
    for (const id of ["a", "b", "c", "d"]) await store.closed(userId, id);
    expect(await other.logOut(userId, undefined)).toEqual([]);
  });

  test("whose closing was left are found by the sweep, once nobody can be at them any more", async () => {
    for (const id of ["a", "b", "c", "d"]) await connect(id);
    const find = async () => (await other.listUnfinished(1_000)).find((one) => one.userId === userId);
    expect(await find()).toBeUndefined();
    time += CLAIM_IS_OVER_MS;
    const left = (await find())!;
    expect(await other.claimUnfinished(userId)).toEqual({
      unclosed: 1,
      toClose: [{ connectionId: "a", reason: "SESSION_LIMIT", queue: "" }],
    });
    expect(await store.claimUnfinished(userId)).toEqual({ unclosed: 1, toClose: [] });
    await store.closed(userId, "a");
    expect(await store.claimUnfinished(userId)).toEqual({ unclosed: 0, toClose: [] });
    await connect("e");
    await store.noteLookedAfter(left, true);
    await store.closed(userId, "b");
    expect(await find()).toBeUndefined();
    time += CLAIM_IS_OVER_MS;
    await store.noteLookedAfter((await find())!, true);
    expect(await find()).toBeUndefined();
  });

  test("that could not be closed are put behind the others, unless more have lost a slot", async () => {
    const [others] = newUsers(1) as [number];
    for (const id of ["a", "b", "c", "d"]) await connect(id);
    time += 1;
    await other.logOut(others, undefined);
    const order = async () =>
      (await other.listUnfinished(1_000))
        .map((one) => one.userId)
        .filter((id) => [userId, others].includes(id));
    time += CLAIM_IS_OVER_MS;
    expect(await order()).toEqual([userId, others]);
    const left = (await other.listUnfinished(1_000)).find((one) => one.userId === userId)!;
    await store.noteLookedAfter(left, false);
    expect(await order()).toEqual([others]);
    time += CLAIM_IS_OVER_MS;
    expect(await order()).toEqual([others, userId]);
    // What was listed before does not count any more.
    await store.noteLookedAfter(left, true);
    expect(await order()).toEqual([others, userId]);
    const again = (await other.listUnfinished(1_000)).find((one) => one.userId === userId)!;
    await store.noteLookedAfter(again, true);
    expect(await order()).toEqual([others]);
  });

  test("are closed once, whichever process says so", async () => {
    for (const id of ["a", "b", "c", "d"]) await connect(id);
    expect(await store.closed(userId, "a")).toBe(true);
    expect(await other.closed(userId, "a")).toBe(false);
  });

  test("all end when their user logs out, or those of one device", async () => {
    await connect("a", { device: "phone" });
    await connect("b", { device: "desktop" });
    await connect("c");
    expect(await store.logOut(userId, "phone")).toMatchObject([{ connectionId: "a", reason: "LOGGED_OUT" }]);
    await store.closed(userId, "a");
    expect(await store.logOut(userId, "phone")).toEqual([]);
    expect(idsOf((await store.logOut(userId, undefined)) ?? [])).toEqual(["b", "c"]);
    expect(await Promise.all(["a", "b", "c"].map(standing))).toEqual(["evicted", "evicted", "evicted"]);
  });

  test("are each user's own", async () => {
    for (const id of ["a", "b", "c"]) await connect(id);
    [userId] = newUsers(1) as [number];
    expect(await standing("a")).toBe("unknown");
    expect((await connect("a")).toClose).toEqual([]);
  });

  describe("and how often they may", () => {
    test("is counted over all of them, for each kind by itself", async () => {
      const rate = { kind: "messages", limit: 5 } as const;
      for (const id of ["a", "b"]) await connect(id);
      for (let index = 0; index < 5; index += 1)
        expect(await store.admit(session(index % 2 ? "a" : "b"), rate)).toMatchObject({ retryAfter: 0 });
      const refused = await other.admit(session("a"), rate);
      expect(refused?.retryAfter).toBeGreaterThan(0);
      expect(refused?.retryAfter).toBeLessThanOrEqual(61);
      expect(await store.take(userId, rate)).toBeGreaterThan(0);
      expect(await store.take(userId, { kind: "reads", limit: 5 })).toBe(0);
      expect(await store.admit(session("a"))).toMatchObject({ standing: "live", retryAfter: 0 });
    });

    test("is right when all ask at once", async () => {
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, index) =>
          (index % 2 ? store : other).take(userId, { kind: "writes", limit: 60 }),
        ),
      );
      expect(answers.filter((answer) => answer === 0)).toHaveLength(60);
    });

    test("is not touched by those that have ended", async () => {
      for (const id of ["a", "b", "c", "d"]) await connect(id);
      const rate = { kind: "messages", limit: 1 } as const;
      expect(await store.admit(session("a"), rate)).toMatchObject({ standing: "closing", retryAfter: 0 });
      expect(await store.admit(session("b"), rate)).toMatchObject({ standing: "live", retryAfter: 0 });
    });

    test("is counted for one that is still to be taken in", async () => {
      const rate = { kind: "messages", limit: 1 } as const;
      expect(await store.admit(session("a"), rate)).toMatchObject({ standing: "unknown", retryAfter: 0 });
      expect((await store.admit(session("a"), rate))?.retryAfter).toBeGreaterThan(0);
    });
  });
});

test("every key of a user in Redis holds the user in braces, and none lives for ever", {
  retry,
}, async () => {
  const [userId] = newUsers(1) as [number];
  const redis = new Redis(server.url);
  const store = connectRedis({ urls: [server.url], cluster: false });
  const how = { limit: 1, whichAreGone: nobodyIsGone };
  for (const connectionId of ["a", "b"]) await store.register({ userId, connectionId, likeness: "x" }, how);
  await store.keepPiece(userId, "b", 0, Buffer.from("S"));
  await store.takeId(userId, "b", "r1", "sub-0", 3);
  await store.admit({ userId, connectionId: "b" }, { kind: "messages", limit: 5 });
  await store.logOut(userId, "none");
  for (const kind of ["reads", "subscribes", "negotiates", "writes", "pieces"] as const)
    await store.take(userId, { kind, limit: 1 });
  const keys = await redis.keys(`*${userId}*`);
  expect(keys.map((key) => key.replace(`{user:${userId}}:`, "")).sort()).toEqual([
    "closing",
    "details",
    "ended",
    "ids:r1",
    "logouts",
    "messages",
    "negotiates",
    "pieces",
    "pieces:b",
    "reads",
    "returns",
    "sessions",
    "subscribes",
    "writes",
  ]);
  for (const key of keys) expect(await redis.pttl(key)).toBeGreaterThan(0);
  redis.disconnect();
  await store.close();
});
