import type { AddressInfo } from "node:net";
import { createServer, type Server, type Socket } from "node:net";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from "vitest";
import { freePort } from "../../local/ports.js";
import type { RedisStore } from "../../shared/redis/ports.js";
import { connectRedis } from "../../shared/redis/redis.js";
import { FakeSessionStore } from "../fakes/sessionStore.js";
import { UNLESS_LATE, unlessRedisIsLate } from "../support/late.js";

let lastRoom = 1_000_000 + Math.floor(Math.random() * 1_000_000_000);

const { retry } = UNLESS_LATE;
unlessRedisIsLate();

// A database of its own: the stack's health would be down.
test.each<[string, () => RedisStore]>([
  ["the fake", () => new FakeSessionStore()],
  ["Redis", () => connectRedis({ urls: [`${inject("stack").redis}/7`], cluster: false })],
])(
  "the session store of %s tells all processes of a fault, until its time is over",
  { retry },
  async (_name, open) => {
    const store = open();
    await store.ping();
    expect(await store.hasFault("mysql")).toBe(false);
    await store.noteFault("mysql", 600_000);
    await store.noteFault("mysql", 600_000);
    expect(await store.hasFault("mysql")).toBe(true);
    expect(await store.hasFault("eventHubs")).toBe(false);
    // Each note counts from its own moment on, whatever was noted before.
    await store.noteFault("mysql", 50);
    await expect.poll(() => store.hasFault("mysql")).toBe(false);
    await store.noteFault("mysql", 50);
    await store.noteFault("mysql", 600_000);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await store.hasFault("mysql")).toBe(true);
    await store.noteFault("mysql", 1);
    await store.close();
  },
);

describe.each<[string, () => RedisStore]>([
  ["the fake", () => new FakeSessionStore()],
  ["Redis", () => connectRedis({ urls: [inject("stack").redis], cluster: false })],
])("the session store of %s", { retry }, (_name, open) => {
  let store: RedisStore;
  let room: number;

  beforeEach(() => {
    store = open();
    room = ++lastRoom;
  });
  afterEach(() => store.close());

  const fill = async (users: readonly number[]): Promise<void> =>
    store.putMembers(room, users, await store.membersVersion(room));

  test("can be reached", async () => {
    await store.ping();
  });

  test("does not know a room it was not told of, but has a version for it", async () => {
    expect(await store.isMember(room, 1)).toBeUndefined();
    expect(await store.membersVersion(room)).toEqual(expect.any(String));
  });

  test("knows who is a member and who is not once it is filled", async () => {
    await fill([1, 3, Number.MAX_SAFE_INTEGER]);
    const answers = await Promise.all(
      [1, 2, 3, Number.MAX_SAFE_INTEGER].map((id) => store.isMember(room, id)),
    );
    expect(answers).toEqual([true, false, true, true]);
    expect(await store.isMember(room + 1_000_000_000, 1)).toBeUndefined();
  });

  test("takes a new fill in place of the old one", async () => {
    await fill([1, 2]);
    await fill([2, 3]);
    expect(await store.isMember(room, 1)).toBe(false);
    expect(await store.isMember(room, 3)).toBe(true);
  });

  test("knows nothing any more once the members are dropped", async () => {
    await fill([1, 2]);
    await store.dropMembers(room);
    expect(await store.isMember(room, 1)).toBeUndefined();
    expect(await store.isMember(room, 9)).toBeUndefined();
  });

  test("does nothing with a fill that was read before a drop", async () => {
    const version = await store.membersVersion(room);
    await store.dropMembers(room);
    await store.putMembers(room, [1, 2], version);
    expect(await store.isMember(room, 1)).toBeUndefined();
  });

  test("keeps the newer fill when an older one comes after it", async () => {
    const before = await store.membersVersion(room);
    await store.dropMembers(room);
    await fill([2]);
    await store.putMembers(room, [1, 2], before);
    expect(await store.isMember(room, 1)).toBe(false);
  });

  test("does nothing with a fill whose version could not be had", async () => {
    await store.putMembers(room, [1], undefined);
    expect(await store.isMember(room, 1)).toBeUndefined();
  });

  test("does nothing with a fill of nobody: a room that is gone stays unknown", async () => {
    await fill([]);
    expect(await store.isMember(room, 1)).toBeUndefined();
  });

  test("keeps the versions of rooms apart", async () => {
    const other = ++lastRoom;
    const version = await store.membersVersion(other);
    await store.dropMembers(room);
    await store.putMembers(other, [1], version);
    expect(await store.isMember(other, 1)).toBe(true);
  });

  test("holds 10,000 members", async () => {
    await fill(Array.from({ length: 10_000 }, (_, index) => index + 1));
    const ids = [1, 1_000, 1_001, 9_999, 10_000, 10_001];
    const answers = await Promise.all(ids.map((id) => store.isMember(room, id)));
    expect(answers).toEqual([true, true, true, true, true, false]);
  });

  test("never ends with an old fill, however fills and drops meet", async () => {
    for (let round = 0; round < 50; round += 1) {
      const version = await store.membersVersion(room);
      await Promise.all([store.putMembers(room, [1], version), store.dropMembers(room)]);
      expect(await store.isMember(room, 1)).toBeUndefined();
    }
  });
});

describe.each<[string, () => readonly [RedisStore, RedisStore]]>([
  [
    "the fake",
    () => {
      const store = new FakeSessionStore();
      return [store, store];
    },
  ],
  [
    "Redis",
    () => [
      connectRedis({ urls: [inject("stack").redis], cluster: false }),
      connectRedis({ urls: [inject("stack").redis], cluster: false }),
    ],
  ],
])("a room's turn to have its reads broadcast, in %s", { retry }, (_name, open) => {
  /** Longer than any test takes. */
  const LONG_MS = 3_600_000;
  let one: RedisStore;
  let other: RedisStore;
  let room: number;

  beforeEach(() => {
    [one, other] = open();
    room = ++lastRoom;
  });
  afterEach(() => Promise.all([one.close(), other.close()]));

  test("is had once, by whichever process asks first", async () => {
    expect(await one.takeReadTurn(room, LONG_MS)).toBe(true);
    expect(await one.takeReadTurn(room, LONG_MS)).toBe(false);
    expect(await other.takeReadTurn(room, LONG_MS)).toBe(false);
  });

  test("is had by one of many who ask at once", async () => {
    const asked = Array.from({ length: 50 }, (_, index) =>
      (index % 2 ? one : other).takeReadTurn(room, LONG_MS),
    );
    expect((await Promise.all(asked)).filter((answer) => answer === true)).toHaveLength(1);
  });

  test("is each room's own", async () => {
    expect(await one.takeReadTurn(room, LONG_MS)).toBe(true);
    room = ++lastRoom;
    expect(await one.takeReadTurn(room, LONG_MS)).toBe(true);
  });

  test("comes again after its time, however often it was asked for meanwhile", async () => {
    expect(await one.takeReadTurn(room, 100)).toBe(true);
    await expect.poll(() => other.takeReadTurn(room, 100)).toBe(true);
  });

  test("is not in the way of the room's members", async () => {
    expect(await one.takeReadTurn(room, LONG_MS)).toBe(true);
    await one.putMembers(room, [1], await one.membersVersion(room));
    await one.dropMembers(room);
    expect(await one.takeReadTurn(room, LONG_MS)).toBe(false);
  });
});

test("Redis is used from the first moment on, at whatever point of connecting it is asked", {
  retry,
}, async () => {
  for (let turns = 0; turns < 40; turns += 1) {
    const store = connectRedis({ urls: [inject("stack").redis], cluster: false });
    for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    const room = ++lastRoom;
    expect([turns, await store.takeReadTurn(room, 60_000)]).toEqual([turns, true]);
    await store.close();
  }
});

test("every key in Redis holds its room in braces, and none lives for ever", { retry }, async () => {
  const redis = new Redis(inject("stack").redis);
  const store = connectRedis({ urls: [inject("stack").redis], cluster: false });
  const room = ++lastRoom;
  await store.dropMembers(room);
  await store.putMembers(room, [1], await store.membersVersion(room));
  await store.takeReadTurn(room, 60_000);
  const keys = await redis.keys(`*${room}*`);
  expect(keys.sort()).toEqual([`{room:${room}}:members`, `{room:${room}}:reads`, `{room:${room}}:version`]);
  for (const key of keys) expect(await redis.ttl(key)).toBeGreaterThan(0);
  redis.disconnect();
  await store.close();
});

describe("a store that is away", () => {
  const sockets = new Set<Socket>();
  let silent: Server;
  const silentUrl = (): string => `redis://127.0.0.1:${(silent.address() as AddressInfo).port}`;

  beforeAll(async () => {
    silent = createServer((socket) => {
      sockets.add(socket);
      socket.resume().on("error", () => {});
    });
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  });
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => silent.close(resolve));
  });

  const nobodyListens = async (): Promise<RedisStore> => {
    const port = await freePort();
    return connectRedis({ urls: [`redis://127.0.0.1:${port}`], cluster: false });
  };

  describe.each<[string, () => RedisStore | Promise<RedisStore>]>([
    [
      "as the fake says",
      () => {
        const fake = new FakeSessionStore();
        fake.away = true;
        return fake;
      },
    ],
    ["because nobody listens", nobodyListens],
    ["because the server never answers", () => connectRedis({ urls: [silentUrl()], cluster: false })],
  ])("%s", (_why, open) => {
    let store: RedisStore;
    beforeAll(async () => {
      store = await open();
    });
    afterAll(() => store.close());

    test.each([1, 2, 3])(
      "knows nothing, without an error and without waiting until it is back: time %i",
      async () => {
        expect(await store.isMember(1, 1)).toBeUndefined();
        expect(await store.membersVersion(1)).toBeUndefined();
        expect(await store.putMembers(1, [1], "0")).toBeUndefined();
        expect(await store.dropMembers(1)).toBeUndefined();
        expect(await store.takeReadTurn(1, 300)).toBeUndefined();
      },
    );

    test("says so when it is asked", async () => {
      await expect(store.ping()).rejects.toThrow();
    });

    test("answers many at once", async () => {
      const answers = await Promise.all(Array.from({ length: 200 }, (_, id) => store.isMember(1, id + 1)));
      expect(answers).toEqual(Array.from({ length: 200 }, () => undefined));
    });
  });

  test("is used again once it is back", async () => {
    const redis = new Redis(inject("stack").redis);
    const clients = async (): Promise<string[]> =>
      [...String(await redis.call("CLIENT", "LIST")).matchAll(/^id=(\d+)/gm)].map(([, id]) => id!);
    const before = await clients();
    const store = connectRedis({ urls: [inject("stack").redis], cluster: false });
    const room = ++lastRoom;
    await store.putMembers(room, [1], await store.membersVersion(room));
    const since = (await clients()).filter((id) => !before.includes(id));
    expect(since).not.toEqual([]);
    for (const id of since) await redis.call("CLIENT", "KILL", "ID", id);
    await expect.poll(() => store.isMember(room, 1)).toBe(true);
    redis.disconnect();
    await store.close();
  });
});
