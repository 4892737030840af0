import type { RowDataPacket } from "mysql2/promise";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  inject,
  onTestFinished,
  test,
  vi,
} from "vitest";
import { freePort } from "../../local/ports.js";
import type { Broadcaster } from "../../shared/broadcast/broadcaster.js";
import type { MessagesDeps } from "../../shared/messages/deps.js";
import { storeMessages } from "../../shared/messages/store.js";
import { createReadMerger, type ReadMerger } from "../../shared/reads/merge.js";
import { storeReads } from "../../shared/reads/store.js";
import { sweepReads } from "../../shared/reads/sweep.js";
import { portsOf, type RedisStore } from "../../shared/redis/ports.js";
import { connectRedis } from "../../shared/redis/redis.js";
import { leaveRoom } from "../../shared/rooms/changeMembers.js";
import { createGroupRoom } from "../../shared/rooms/createRooms.js";
import type { Database } from "../../shared/store/database.js";
import { addSubscriptionId } from "../../shared/store/subscriptionIds.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { changed } from "../fakes/changed.js";
import { FakeEventBus } from "../fakes/eventBus.js";
import { FakeSessionStore } from "../fakes/sessionStore.js";
import { until } from "../support/client.js";
import { newDatabase } from "../support/database.js";
import { UNLESS_LATE, unlessRedisIsLate } from "../support/late.js";

type StoreDeps = MessagesDeps & { readonly readMerger: ReadMerger };

const READS = "chat-read-events";
const MESSAGES = "chat-messages";
const AT = "2026-01-02T03:04:05.678Z";
/** How often a room's reads may go out. */
const INTERVAL_MS = 300;
/** By how much a clock of whole milliseconds, and a timer, may be early. */
const SLACK_MS = 5;

let database: Database;
let closeDatabase: () => Promise<void>;
let bus: FakeEventBus;
let broadcaster: FakeBroadcaster;
let sessions: FakeSessionStore;
let merger: ReadMerger;
let roomId: number;
let messageIds: number[];
const mergers: ReadMerger[] = [];
let hubAge = 0;

unlessRedisIsLate();

beforeAll(async () => {
  ({ database, close: closeDatabase } = await newDatabase());
});
afterAll(() => closeDatabase());

beforeEach(async () => {
  bus = new FakeEventBus({ [READS]: 1, [MESSAGES]: 1, "chat-read-events-dlt": 1, "chat-messages-dlt": 1 });
  // Each test has hubs of their own creation time, and so positions of its own.
  hubAge += 2;
  for (let times = 0; times < hubAge; times += 1) for (const hub of [READS, MESSAGES]) bus.makeHub(hub, 1);
  broadcaster = new FakeBroadcaster();
  sessions = new FakeSessionStore();
  merger = newMerger();
  await database.query("DELETE FROM read_outbox");
  [roomId, messageIds] = await makeRoom(150, 40);
});
afterEach(async () => {
  await Promise.all(mergers.splice(0).map((one) => one.close()));
});

function newMerger(more: Partial<Parameters<typeof createReadMerger>[0]> = {}): ReadMerger {
  const made = createReadMerger({ database, broadcaster, now: Date.now, ...portsOf(sessions), ...more });
  mergers.push(made);
  return made;
}

const depsWith = (readMerger: ReadMerger): StoreDeps => ({
  database,
  bus,
  broadcaster,
  ...portsOf(sessions),
  readMerger,
  scheduleReads: readMerger.schedule,
  now: Date.now,
  retryBudgetMs: 600_000,
});

const times = <T>(count: number, one: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => one(index));

let events = 0;
/**
 * A group of users 1 to `members`, in which user 1 has written `messages` messages. Returns their ids, too.
 */
async function makeRoom(members: number, messages: number): Promise<[roomId: number, ids: number[]]> {
  const userIds = times(members - 1, (index) => index + 2);
  const input = { roomName: "room", userIds, callerId: 1 };
  const made = await createGroupRoom(input, { database, broadcaster, now: Date.now });
  const batch = times(messages, () =>
    bus.append(
      MESSAGES,
      "0",
      JSON.stringify({
        v: 1,
        eventId: `event-${++events}`,
        roomId: made.roomId,
        senderId: 1,
        senderNickname: "Ann",
        clientMessageId: null,
        type: "TEXT",
        content: "a",
        sentAt: AT,
      }),
    ),
  );
  await storeMessages({ hub: MESSAGES, partitionId: "0", events: batch }, depsWith(merger));
  await addSubscriptionId(database, `rr${made.roomId}`, "sub-0");
  const [rows] = await database.query<RowDataPacket[]>(
    "SELECT message_id FROM messages WHERE room_id = ? ORDER BY seq",
    [made.roomId],
  );
  return [made.roomId, rows.map((row) => row["message_id"] as number)];
}

/** Stores a batch of reads, `[user, seq]` each, by a process with this merger. */
async function store(reads: readonly (readonly [userId: number, seq: number])[], by = merger): Promise<void> {
  const batch = reads.map(([userId, seq]) =>
    bus.append(
      READS,
      "0",
      JSON.stringify({ v: 1, roomId, userId, messageId: messageIds[seq - 1], readAt: AT }),
      String(userId),
    ),
  );
  await storeReads({ hub: READS, partitionId: "0", events: batch }, depsWith(by));
}

interface Move {
  readonly userId: number;
  readonly previousLastReadSeq: number;
  readonly lastReadSeq: number;
}

const bodiesOf = (text: string): ({ readonly roomId: number; readonly reads?: Move[] } & Partial<Move>)[] =>
  text
    .split("\0")
    .slice(0, -1)
    .map((frame) => JSON.parse(frame.slice(frame.indexOf("\n\n") + 2)));
const sends = (room = roomId): string[] =>
  broadcaster.sent.filter(({ to }) => to === `rr${room}:sub-0`).map(({ text }) => text);
/** The moves of a send's frames, which must be merged ones: `user: from → to`. */
const movesOf = (text: string): string[] =>
  bodiesOf(text).flatMap(({ reads, userId }) => {
    expect(userId).toBeUndefined();
    return reads!.map((move) => `${move.userId}: ${move.previousLastReadSeq} → ${move.lastReadSeq}`);
  });

async function waiting(): Promise<{ rows: number; taken: number }> {
  const [rows] = await database.query<RowDataPacket[]>(
    "SELECT COUNT(*) AS total, COUNT(taken_by) AS taken FROM read_outbox",
  );
  return { rows: rows[0]?.["total"], taken: rows[0]?.["taken"] };
}

/** A broadcaster that holds back sends to groups until they are let go. */
function gated(): { broadcaster: Broadcaster; begun: () => number; open: () => void } {
  let begun = 0;
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const sendToGroup = async (group: string, text: string): Promise<void> => {
    begun += 1;
    await gate;
    await broadcaster.sendToGroup(group, text);
  };
  return { broadcaster: changed<Broadcaster>(broadcaster, { sendToGroup }), begun: () => begun, open };
}

describe("a room's reads", () => {
  test.each([
    [100, false],
    [101, true],
  ])("are merged in a room of %i members: %s", async (members, merged) => {
    [roomId, messageIds] = await makeRoom(members, 3);
    await store([
      [2, 1],
      [3, 3],
      [4, 2],
    ]);
    await merger.settled();
    const bodies = sends().flatMap(bodiesOf);
    expect(bodies.map((body) => "reads" in body)).toEqual(merged ? [true] : [false, false, false]);
    const readers = bodies.flatMap(({ reads, userId }) => reads?.map((move) => move.userId) ?? userId);
    expect(readers).toEqual([2, 3, 4]);
    expect(await waiting()).toEqual({ rows: 0, taken: 0 });
  });

  test("are merged in one frame with each member's move from beginning to end", async () => {
    await store([
      [2, 4],
      [3, 9],
      [2, 7],
    ]);
    await merger.settled();
    expect(sends()).toHaveLength(1);
    expect(bodiesOf(sends()[0]!)).toEqual([
      {
        roomId,
        reads: [
          {
            userId: 2,
            lastReadMessageId: messageIds[6],
            previousLastReadMessageId: null,
            lastReadSeq: 7,
            previousLastReadSeq: 0,
            readAt: AT,
          },
          {
            userId: 3,
            lastReadMessageId: messageIds[8],
            previousLastReadMessageId: null,
            lastReadSeq: 9,
            previousLastReadSeq: 0,
            readAt: AT,
          },
        ],
      },
    ]);
  });

  test("don't hold up what stores them", async () => {
    const gate = gated();
    const slow = newMerger({ broadcaster: gate.broadcaster });
    await store([[2, 1]], slow);
    await until(() => gate.begun() === 1, "the broadcast has begun");
    await store([[2, 2]], slow);
    await store([[3, 2]], slow);
    expect(sends()).toEqual([]);
    gate.open();
    await slow.settled();
  });

  test("that come while others go out go out together after those, joined where they follow each other", async () => {
    const gate = gated();
    const slow = newMerger({ broadcaster: gate.broadcaster });
    await store([[2, 1]], slow);
    await until(() => gate.begun() === 1, "the broadcast has begun");
    await store([[2, 2]], slow);
    await store([[3, 2]], slow);
    await store([[2, 5]], slow);
    gate.open();
    await slow.settled();
    expect(sends().map((text) => movesOf(text).sort())).toEqual([["2: 0 → 1"], ["2: 1 → 5", "3: 0 → 2"]]);
    expect(await waiting()).toEqual({ rows: 0, taken: 0 });
  });

  test("go out once for each subscription id, to the room's reads only", async () => {
    await addSubscriptionId(database, `rr${roomId}`, "own\\cid");
    await addSubscriptionId(database, `r${roomId}`, "messages");
    await store([
      [2, 1],
      [3, 1],
    ]);
    await merger.settled();
    expect(broadcaster.sent.map(({ to }) => to).sort()).toEqual([
      `rr${roomId}:sub-0`,
      `rr${roomId}:~b3duXGNpZA`,
    ]);
  });

  /** The database, each of whose round trips passes through `ask` first. */
  const asking = (ask: (sql: string, go: (sql: string) => Promise<unknown>) => Promise<unknown>): Database =>
    changed(database, {
      getConnection: async (fresh?: boolean) => {
        const connection = await database.getConnection(fresh);
        return changed(connection, {
          query: ((options: { sql: string }) =>
            ask(options.sql, (sql) => connection.query({ ...options, sql }))) as typeof connection.query,
        });
      },
    });

  const unheard = 700_000_000;
  /** Has a merger look at both rooms at once: another one is first, and they come while it is served. */
  function scheduleBoth(one: ReadMerger): void {
    one.schedule(700_000_001);
    one.schedule(unheard);
    one.schedule(roomId);
  }

  test("that nobody hears are deleted together with the taking of others, which go out", async () => {
    const asked: string[] = [];
    const noting = asking((sql, go) => {
      asked.push(sql);
      return go(sql);
    });
    const one = newMerger({ database: noting });
    await insertWaiting(3, unheard);
    await insertWaiting(2);
    scheduleBoth(one);
    await one.settled();
    expect(broadcaster.sent.map(({ to }) => to)).toEqual([`rr${roomId}:sub-0`]);
    expect(sends().flatMap(movesOf)).toHaveLength(2);
    expect(asked.filter((sql) => /^DELETE r FROM[^;]*;\s*UPDATE read_outbox/.test(sql))).toHaveLength(1);
    expect(await waiting()).toEqual({ rows: 0, taken: 0 });
  });

  test("are sent to who subscribes between the look for them and that for subscribers, and what comes then later", async () => {
    await database.query("DELETE FROM subscription_ids WHERE destination = ?", [Buffer.from(`rr${roomId}`)]);
    let subscribed = false;
    /** Somebody subscribes, and another member reads, between the two looks. */
    const busy = asking(async (sql, go) => {
      const [first, second] = sql.split(";\n");
      if (subscribed || !sql.includes("FROM subscription_ids") || second === undefined) return go(sql);
      subscribed = true;
      const [found, fields] = (await go(first!)) as [unknown, unknown];
      await addSubscriptionId(database, `rr${roomId}`, "late");
      await insertWaiting(1, roomId, 50);
      one.schedule(roomId);
      const [more, moreFields] = (await go(second)) as [unknown, unknown];
      return [
        [found, more],
        [fields, moreFields],
      ];
    });
    const one = newMerger({ database: busy });
    await insertWaiting(1);
    one.schedule(roomId);
    await one.settled();
    expect(broadcaster.sent.map(({ to, text }) => [to, movesOf(text)])).toEqual([
      [`rr${roomId}:late`, ["1: 0 → 1"]],
      [`rr${roomId}:late`, ["50: 0 → 1"]],
    ]);
    expect(await waiting()).toEqual({ rows: 0, taken: 0 });
  });

  test("that are taken when the database fails go out with the next try, not with the sweep", async () => {
    let hasFailed = false;
    const failing = asking(async (sql, go) => {
      const answer = await go(sql);
      if (hasFailed || !sql.startsWith("UPDATE read_outbox") || !sql.includes(";\n")) return answer;
      hasFailed = true;
      throw new Error("the answer is lost");
    });
    const one = newMerger({ database: failing });
    await insertWaiting(2);
    one.schedule(roomId);
    await one.settled();
    expect(hasFailed).toBe(true);
    expect(sends().map(movesOf)).toEqual([["1: 0 → 1", "2: 0 → 1"]]);
    expect(await waiting()).toEqual({ rows: 0, taken: 0 });
  });

  test("that waited while the room fell to 100 members go out singly", async () => {
    [roomId, messageIds] = await makeRoom(101, 3);
    const gate = gated();
    const slow = newMerger({ broadcaster: gate.broadcaster });
    await store([[2, 1]], slow);
    await until(() => gate.begun() === 1, "the broadcast has begun");
    await store([[3, 2]], slow);
    await leaveRoom({ roomId, callerId: 101 }, { ...depsWith(slow), scheduleReads: slow.schedule });
    gate.open();
    await slow.settled();
    const bodies = sends().slice(1).flatMap(bodiesOf);
    expect(bodies.map(({ userId, lastReadSeq }) => [userId, lastReadSeq])).toEqual([
      [3, 2],
      [101, 3],
    ]);
  });

  test("of more than 5,000 members go out piece by piece, each of them once", async () => {
    await insertWaiting(12_000);
    merger.schedule(roomId);
    await merger.settled();
    const moves = sends().flatMap(movesOf);
    expect(moves).toHaveLength(12_000);
    expect(new Set(moves).size).toBe(12_000);
    for (const text of sends()) {
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(512 * 1024);
      for (const { reads } of bodiesOf(text)) expect(reads!.length).toBeLessThanOrEqual(500);
    }
    expect(await waiting()).toEqual({ rows: 0, taken: 0 });
  });

  test("of more rooms than one process takes at once wait for the sweep", async () => {
    const rooms = times(10_010, (index) => 900_000_000 + index);
    await database.query(
      `INSERT INTO read_outbox (room_id, user_id, previous_seq, last_seq, last_message_id, read_at, taken_at) VALUES ?`,
      [rooms.map((room) => [room, 1, 0, 1, messageIds[0], new Date(AT), new Date()])],
    );
    for (const room of rooms) merger.schedule(room);
    await merger.settled();
    expect((await waiting()).rows).toBe(10);
    await sweepReads({ ...depsWith(merger) });
    await merger.settled();
    expect(await waiting()).toEqual({ rows: 0, taken: 0 });
  });
});

test("many rooms at once give a process nothing to complain of itself: no leak of listeners, say", async () => {
  const warned: string[] = [];
  const notice = ({ message }: Error): void => void warned.push(message);
  process.on("warning", notice);
  onTestFinished(() => void process.off("warning", notice));
  for (let index = 0; index < 30; index += 1) {
    await insertWaiting(1, 800_000_000 + index);
    merger.schedule(800_000_000 + index);
  }
  await merger.settled();
  expect(warned).toEqual([]);
});

/** Notes a read for each of `count` users, as a process does that dies then. */
async function insertWaiting(count: number, room = roomId, firstUser = 1): Promise<void> {
  for (let first = 0; first < count; first += 4_000)
    await database.query(
      `INSERT INTO read_outbox (room_id, user_id, previous_seq, last_seq, last_message_id, read_at, taken_by, taken_at)
       VALUES ?`,
      [
        times(Math.min(4_000, count - first), (index) => [
          room,
          firstUser + first + index,
          0,
          1,
          messageIds[0],
          new Date(AT),
          null,
          new Date(),
        ]),
      ],
    );
}

/** Waits until a store answers: what is asked of it before is as if it were away. */
const reached = (store: RedisStore): Promise<void> =>
  until(
    () =>
      store.ping().then(
        () => true,
        () => false,
      ),
    "the session store answers",
  );

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
])("two processes that share %s", UNLESS_LATE, (_name, open) => {
  /** When a turn was asked for and when it was had: it began in between. */
  interface Turn {
    readonly asked: number;
    readonly had: number;
    readonly by: number;
  }

  /** Both notice every turn they get. */
  function noticing(stores: readonly RedisStore[], turns: Turn[]): RedisStore[] {
    return stores.map((store, by) =>
      changed(store, {
        async takeReadTurn(room: number, withinMs: number) {
          const asked = Date.now();
          const answer = await store.takeReadTurn(room, withinMs);
          // Without an answer the test would say nothing about turns.
          expect(answer).toBeDefined();
          if (answer) turns.push({ asked, had: Date.now(), by });
          return answer;
        },
      }),
    );
  }

  test("broadcast a room's reads at most once in 300 ms between them, and each move once", async () => {
    const stores = open();
    for (const one of stores) await reached(one);
    const turns: Turn[] = [];
    const broadcasts: number[] = [];
    const both = noticing(stores, turns).map((one, by) => {
      const sendToGroup = async (group: string, text: string): Promise<void> => {
        broadcasts.push(by);
        await broadcaster.sendToGroup(group, text);
      };
      return newMerger({
        // Sessions of its own, the broadcaster shared.
        ...portsOf(one),
        broadcaster: changed<Broadcaster>(broadcaster, { sendToGroup }),
      });
    });
    // Each of 40 batches moves 20 of the members by one or more messages; now one process stores, now the
    // other.
    for (let batch = 0; batch < 40; batch += 1) {
      await store(
        times(20, (index) => [2 + ((batch * 7 + index) % 100), batch + 1]),
        both[batch % 2],
      );
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    await Promise.all(both.map((one) => one.settled()));

    expect(turns.length).toBeGreaterThan(2);
    turns.sort((a, b) => a.asked - b.asked);
    for (const [index, turn] of turns.slice(1).entries())
      expect(turn.had - turns[index]!.asked).toBeGreaterThanOrEqual(INTERVAL_MS - SLACK_MS);
    // One subscription id: a turn leads to one send, or to none where the other process had taken all.
    expect(broadcasts.length).toBeLessThanOrEqual(turns.length);
    expect(broadcasts.length).toBe(sends().length);
    const chains = new Map<string, number>();
    for (const move of sends().flatMap(movesOf)) {
      const [user, from, to] = /^(\d+): (\d+) → (\d+)$/.exec(move)!.slice(1) as [string, string, string];
      expect([user, Number(from)]).toEqual([user, chains.get(user) ?? 0]);
      chains.set(user, Number(to));
    }
    const [rows] = await database.query<RowDataPacket[]>(
      "SELECT user_id, last_read_seq FROM room_members WHERE room_id = ? AND user_id > 1 AND last_read_seq > 0 ORDER BY user_id",
      [roomId],
    );
    expect(rows.map((row) => [String(row["user_id"]), row["last_read_seq"]])).toEqual(
      [...chains].sort(([a], [b]) => Number(a) - Number(b)),
    );
    expect(await waiting()).toEqual({ rows: 0, taken: 0 });
    await Promise.all(stores.map((one) => one.close()));
  });

  test("share one room's turn only: another room does not wait for it", async () => {
    const stores = open();
    for (const one of stores) await reached(one);
    const turns: Turn[] = [];
    const [one, two] = noticing(stores, turns).map((each) => newMerger({ ...portsOf(each) }));
    const first = roomId;
    await store([[2, 1]], one);
    [roomId, messageIds] = await makeRoom(120, 2);
    await store([[2, 1]], two);
    await Promise.all([one!.settled(), two!.settled()]);
    expect(sends(first)).toHaveLength(1);
    expect(sends()).toHaveLength(1);
    await Promise.all(stores.map((each) => each.close()));
  });
});

describe("while the session store is away", () => {
  test.each<[string, () => Promise<RedisStore>]>([
    [
      "as the fake says",
      async () => {
        const store = new FakeSessionStore();
        store.away = true;
        return store;
      },
    ],
    [
      "because nobody listens",
      async () => connectRedis({ urls: [`redis://127.0.0.1:${await freePort()}`], cluster: false }),
    ],
  ])("reads go out, and one process keeps the interval by itself, %s", async (_why, open) => {
    const away = await open();
    const sentAt: number[] = [];
    const sendToGroup = async (group: string, text: string): Promise<void> => {
      sentAt.push(Date.now());
      await broadcaster.sendToGroup(group, text);
    };
    const alone = newMerger({
      ...portsOf(away),
      broadcaster: changed<Broadcaster>(broadcaster, { sendToGroup }),
    });
    for (let seq = 1; seq <= 20; seq += 1) {
      await store([[2, seq]], alone);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    await alone.settled();
    expect(sentAt.length).toBeGreaterThan(1);
    for (const [index, at] of sentAt.slice(1).entries())
      expect(at - sentAt[index]!).toBeGreaterThanOrEqual(INTERVAL_MS - SLACK_MS);
    expect(sends().flatMap(movesOf).at(-1)).toMatch(/→ 20$/);
    expect(await waiting()).toEqual({ rows: 0, taken: 0 });
    await away.close();
  });
});

describe("while the socket service is away", () => {
  test("reads wait, none of them taken, and go out joined once it is back", async () => {
    broadcaster.away = true;
    await store([[2, 1]]);
    await store([[3, 1]]);
    await until(
      () => vi.mocked(console.warn).mock.calls.some(([line]) => /could not be broadcast yet/.test(line)),
      "a failed broadcast",
    );
    await store([[2, 6]]);
    broadcaster.away = false;
    await merger.settled();
    const moves = sends().flatMap(movesOf);
    expect(moves.filter((move) => move.startsWith("3"))).toEqual(["3: 0 → 1"]);
    const twos = moves.filter((move) => move.startsWith("2"));
    // In one or in two: the second read may have come while the first one went out.
    expect([["2: 0 → 6"], ["2: 0 → 1", "2: 1 → 6"]]).toContainEqual(twos);
    expect(await waiting()).toEqual({ rows: 0, taken: 0 });
  });

  test("for good: a process that gives up, or ends, leaves them to the sweep of another", async () => {
    broadcaster.away = true;
    await store([
      [2, 1],
      [3, 2],
    ]);
    await until(
      () => vi.mocked(console.warn).mock.calls.some(([line]) => /could not be broadcast yet/.test(line)),
      "a failed broadcast",
    );
    await merger.close();
    expect(await waiting()).toEqual({ rows: 2, taken: 0 });
    broadcaster.away = false;
    const next = newMerger();
    await sweepReads(depsWith(next));
    await next.settled();
    expect(sends().map(movesOf)).toEqual([["2: 0 → 1", "3: 0 → 2"]]);
  });
});

describe("a process that ends", () => {
  test("finishes what is going out, leaves what came meanwhile, and begins nothing more", async () => {
    const gate = gated();
    const ending = newMerger({ broadcaster: gate.broadcaster });
    await store([[2, 1]], ending);
    await until(() => gate.begun() === 1, "the broadcast has begun");
    await store([[3, 1]], ending);
    const closed = ending.close();
    gate.open();
    await closed;
    await ending.settled();
    expect(sends().map(movesOf)).toEqual([["2: 0 → 1"]]);
    expect(await waiting()).toEqual({ rows: 1, taken: 0 });
    ending.schedule(roomId);
    await ending.settled();
    expect(gate.begun()).toBe(1);
    const next = newMerger();
    await sweepReads(depsWith(next));
    await next.settled();
    expect(sends().map(movesOf)).toEqual([["2: 0 → 1"], ["3: 0 → 1"]]);
  });

  test("can be closed twice, and with nothing to do", async () => {
    await merger.close();
    await merger.close();
    await merger.settled();
  });

  test("without a word, in the middle of a broadcast: the sweep shows what it had taken once that is long ago", async () => {
    const dead = newMerger({
      broadcaster: changed<Broadcaster>(broadcaster, { sendToGroup: () => new Promise(() => {}) }),
    });
    mergers.splice(mergers.indexOf(dead), 1);
    await store([[2, 1]], dead);
    await until(async () => (await waiting()).taken === 1, "the read is taken");
    // What comes meanwhile does not wait for it.
    await store([[3, 1]]);
    await merger.settled();
    await sweepReads(depsWith(merger));
    await merger.settled();
    expect(sends().map(movesOf)).toEqual([["3: 0 → 1"]]);
    await database.query("UPDATE read_outbox SET taken_at = taken_at - INTERVAL 1 MINUTE");
    await sweepReads(depsWith(merger));
    await merger.settled();
    expect(sends().map(movesOf)).toEqual([["3: 0 → 1"], ["2: 0 → 1"]]);
    expect(await waiting()).toEqual({ rows: 0, taken: 0 });
  });

  test("after the commit and before it has looked for anything: the sweep finds the room", async () => {
    const deaf = { schedule: () => {}, settled: async () => {}, close: async () => {} };
    await store([[2, 3]], deaf);
    expect(await waiting()).toEqual({ rows: 1, taken: 0 });
    await sweepReads(depsWith(merger));
    await merger.settled();
    expect(sends().map(movesOf)).toEqual([["2: 0 → 3"]]);
  });
});

test("a database that fails between a broadcast and its note's removal repeats the broadcast and loses none", async () => {
  let failures = 1;
  const flaky = changed(database, {
    query: (async (sql: string, values?: unknown) => {
      if (sql.startsWith("DELETE FROM read_outbox") && failures-- > 0)
        throw new Error("the connection is lost");
      return database.query(sql, values);
    }) as Database["query"],
  });
  const unlucky = newMerger({ database: flaky });
  await store([[2, 3]], unlucky);
  await unlucky.settled();
  expect(sends().map(movesOf)).toEqual([["2: 0 → 3"], ["2: 0 → 3"]]);
  expect(await waiting()).toEqual({ rows: 0, taken: 0 });
});
