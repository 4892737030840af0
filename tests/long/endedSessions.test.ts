import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test, vi } from "vitest";
import { handleMessage } from "../../shared/commands/dispatch.js";
import { sweepEvicted } from "../../shared/connections/closing.js";
import { greet } from "../../shared/connections/greeting.js";
import { portsOf, type RedisStore } from "../../shared/redis/ports.js";
import { connectRedis } from "../../shared/redis/redis.js";
import { TIMING } from "../../shared/redis/timing.js";
import { type Database, openDatabase } from "../../shared/store/database.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { FakeEventBus } from "../fakes/eventBus.js";
import { UNLIMITED } from "../fakes/limits.js";
import { newUsers } from "../support/client.js";
import { UNLESS_LATE, unlessRedisIsLate } from "../support/late.js";
import { type RedisServer, startRedisServer } from "../support/redisServer.js";

/** Of these tests alone: the sweep of the running stack would take on what they leave. */
let server: RedisServer;
let sessions: RedisStore;
let database: Database;
let broadcaster: FakeBroadcaster;
let userId: number;

/** The store's clock, which only goes forward: no test waits until a claim is over. */
let time = Date.now();
const afterTheClaim = (): void => {
  time += TIMING.claimMs + 1;
};

const { retry } = UNLESS_LATE;
unlessRedisIsLate();

beforeAll(async () => {
  server = await startRedisServer();
  database = openDatabase(inject("stack").mysql);
});
afterAll(async () => {
  await database.end();
  await server.close();
});
beforeEach(() => {
  sessions = connectRedis({ urls: [server.url], cluster: false }, { now: () => time });
  broadcaster = new FakeBroadcaster();
  [userId] = newUsers(1) as [number];
  vi.spyOn(console, "info").mockImplementation(() => {});
});
afterEach(() => sessions.close());

const deps = () => ({
  database,
  bus: new FakeEventBus({}),
  ...portsOf(sessions),
  broadcaster,
  limits: { ...UNLIMITED, sessions: 2 },
  heartBeats: true,
  verifyToken: () => Promise.reject(new Error("not asked")),
  now: Date.now,
});

const state = { version: "1.2", expiresAt: Date.now() / 1_000 + 3_600, subscriptions: new Map() } as const;

async function open(connectionId: string): Promise<void> {
  broadcaster.connections.add(connectionId);
  await greet({ connectionId, userId, state }, deps());
}

const told = (connectionId: string): boolean =>
  (broadcaster.received.get(connectionId) ?? []).some((text) => text.includes('"code":"SESSION_CLOSED"'));

const say = (connectionId: string) =>
  handleMessage(
    { data: Buffer.from("UNSUBSCRIBE\nid:none\nreceipt:1\n\n\0"), eventId: "1" },
    { connectionId, userId, state },
    deps(),
  );

test("a session whose end nobody could tell it is told and closed by the sweep, though its user stays silent", {
  retry,
}, async () => {
  const [first, second, third] = [`${userId}-1`, `${userId}-2`, `${userId}-3`];
  await open(first);
  await open(second);
  // The process that evicts it dies: nothing but the note is left.
  const registered = await sessions.register(
    { userId, connectionId: third },
    { limit: 2, whichAreGone: async () => [] },
  );
  expect(registered?.toClose).toMatchObject([{ connectionId: first }]);
  await sweepEvicted(deps());
  expect(told(first)).toBe(false);
  afterTheClaim();
  await sweepEvicted(deps());
  expect(told(first)).toBe(true);
  expect(broadcaster.closed).toContain(first);
  await sweepEvicted(deps());
  expect((await sessions.listUnfinished(1_000)).map((one) => one.userId)).not.toContain(userId);
});

test("the socket service being away leaves it to the sweep, which comes again until it is done", {
  retry,
}, async () => {
  const ids = [1, 2, 3].map((number) => `${userId}-${number}`) as [string, string, string];
  await open(ids[0]);
  await open(ids[1]);
  broadcaster.away = true;
  await open(ids[2]).catch(() => {});
  expect(broadcaster.closed).toEqual([]);
  const isFound = async () => (await sessions.listUnfinished(1_000)).some((one) => one.userId === userId);
  expect(await isFound()).toBe(false);
  afterTheClaim();
  expect(await isFound()).toBe(true);
  await sweepEvicted(deps());
  expect(broadcaster.closed).toEqual([]);
  expect(await isFound()).toBe(false);
  afterTheClaim();
  expect(await isFound()).toBe(true);
  broadcaster.away = false;
  await sweepEvicted(deps());
  expect(broadcaster.closed).toContain(ids[0]);
  expect(told(ids[0])).toBe(true);
});

test("a session that has ended and is still there is told and closed at its next frame, though nobody knows why any more", {
  retry,
}, async () => {
  const [first] = [`${userId}-1`];
  await open(first);
  await sessions.logOut(userId, undefined);
  await sessions.closed(userId, first);
  await say(first);
  expect(told(first)).toBe(true);
  expect(broadcaster.closed).toEqual([first]);
});

test("a frame of a session that somebody is about to close is not answered, and does not close it before it was told", {
  retry,
}, async () => {
  const [first] = [`${userId}-1`];
  await open(first);
  await sessions.logOut(userId, undefined);
  expect((await say(first)).text).toBeUndefined();
  expect(broadcaster.closed).toEqual([]);
});

test("a session that can't be closed at its own frame is left to the sweep", { retry }, async () => {
  const [first] = [`${userId}-1`];
  await open(first);
  await sessions.logOut(userId, undefined);
  broadcaster.away = true;
  expect((await say(first)).text).toBeUndefined();
  afterTheClaim();
  expect((await say(first)).text).toContain("SESSION_CLOSED");
  broadcaster.away = false;
  expect(broadcaster.closed).toEqual([]);
  afterTheClaim();
  await sweepEvicted(deps());
  expect(broadcaster.closed).toContain(first);
});

test("a session that came while the store said nothing is counted soon, also when it says nothing itself", {
  retry,
}, async () => {
  const [first, second, third] = [`${userId}-1`, `${userId}-2`, `${userId}-3`];
  await open(first);
  await open(second);
  let isSilent = true;
  const silent: RedisStore = Object.create(sessions, {
    // As a store that does not answer in time, once.
    admit: {
      value: async (...session: Parameters<RedisStore["admit"]>) => {
        const answer = isSilent ? undefined : await sessions.admit(...session);
        isSilent = false;
        return answer;
      },
    },
  });
  broadcaster.connections.add(third);
  await greet({ connectionId: third, userId, state }, { ...deps(), ...portsOf(silent) });
  expect(broadcaster.received.get(third)?.join("")).toMatch(/^CONNECTED\n/);
  expect(broadcaster.closed).toEqual([first]);
});
