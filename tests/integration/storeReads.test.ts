import type { RowDataPacket } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { ReceivedEvent } from "../../shared/bus/eventBus.js";
import type { MessagesDeps } from "../../shared/messages/deps.js";
import { storeMessages } from "../../shared/messages/store.js";
import { createReadMerger, type MergeDeps, type ReadMerger } from "../../shared/reads/merge.js";
import { storeReads } from "../../shared/reads/store.js";
import { sweepReads } from "../../shared/reads/sweep.js";
import { portsOf } from "../../shared/redis/ports.js";
import { inviteMembers, leaveRoom, removeMember } from "../../shared/rooms/changeMembers.js";
import { createGroupRoom } from "../../shared/rooms/createRooms.js";
import type { RoomDeps } from "../../shared/rooms/roomDeps.js";
import type { Database } from "../../shared/store/database.js";
import { addSubscriptionId } from "../../shared/store/subscriptionIds.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { changed } from "../fakes/changed.js";
import { FakeEventBus } from "../fakes/eventBus.js";
import { FakeSessionStore } from "../fakes/sessionStore.js";
import { until } from "../support/client.js";
import { newDatabase } from "../support/database.js";
import { randomOf } from "../support/seed.js";

type StoreDeps = MessagesDeps & { readonly readMerger: ReadMerger };

const READS = "chat-read-events";
const READS_DEAD = "chat-read-events-dlt";
const MESSAGES = "chat-messages";
const MESSAGES_DEAD = "chat-messages-dlt";
const READ_AT = "2026-01-02T03:04:05.678Z";

let database: Database;
let closeDatabase: () => Promise<void>;
let bus: FakeEventBus;
let broadcaster: FakeBroadcaster;
let deps: StoreDeps & RoomDeps & MergeDeps;
let roomId: number;
let hubAge = 0;

beforeAll(async () => {
  ({ database, close: closeDatabase } = await newDatabase());
});
afterAll(() => closeDatabase());

beforeEach(async () => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  vi.spyOn(console, "error").mockImplementation(() => {});
  bus = new FakeEventBus({ [READS]: 2, [READS_DEAD]: 1, [MESSAGES]: 3, [MESSAGES_DEAD]: 1 });
  // Each test has hubs of their own creation time, and so positions of its own.
  hubAge += 2;
  for (let times = 0; times < hubAge; times += 1)
    for (const [hub, partitions] of [[READS, 2] as const, [MESSAGES, 3] as const])
      bus.makeHub(hub, partitions);
  broadcaster = new FakeBroadcaster();
  const sessions = new FakeSessionStore();
  const readMerger = createReadMerger({ database, broadcaster, now: Date.now, ...portsOf(sessions) });
  const scheduleReads = readMerger.schedule;
  deps = {
    database,
    bus,
    broadcaster,
    ...portsOf(sessions),
    readMerger,
    scheduleReads,
    now: Date.now,
    retryBudgetMs: 600_000,
  };
  await database.query("DELETE FROM read_outbox");
  roomId = await makeRoom([1, 2, 3]);
});
afterEach(async () => {
  await deps.readMerger.close();
  vi.restoreAllMocks();
});

/** A group of these users with one subscription id in use on its reads. */
async function makeRoom([creator, ...others]: readonly number[]): Promise<number> {
  const made = await createGroupRoom({ roomName: "room", userIds: others, callerId: creator! }, deps);
  await addSubscriptionId(database, `rr${made.roomId}`, "sub-0");
  return made.roomId;
}

let events = 0;
const message = (senderId: number, room = roomId): object => ({
  v: 1,
  eventId: `event-${++events}`,
  roomId: room,
  senderId,
  senderNickname: `User ${senderId}`,
  clientMessageId: null,
  type: "TEXT",
  content: `message ${events}`,
  sentAt: READ_AT,
});

/**
 * Stores messages of these senders in a room, in one batch, and returns the ids of all its messages: that of
 * seq 1 first.
 */
async function write(senders: readonly number[], room = roomId): Promise<number[]> {
  const batch = senders.map((sender) => bus.append(MESSAGES, "0", JSON.stringify(message(sender, room))));
  await storeMessages({ hub: MESSAGES, partitionId: "0", events: batch }, deps);
  // What the senders read by sending is broadcast on the side.
  await deps.readMerger.settled();
  return messageIds(room);
}

async function messageIds(room = roomId): Promise<number[]> {
  const [rows] = await database.query<RowDataPacket[]>(
    "SELECT message_id FROM messages WHERE room_id = ? ORDER BY seq",
    [room],
  );
  return rows.map((row) => row["message_id"]);
}

const times = <T>(count: number, one: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => one(i));

const read = (userId: number, messageId: number, more: object = {}): object => ({
  v: 1,
  roomId,
  userId,
  messageId,
  readAt: READ_AT,
  ...more,
});
const put = (event: object | string, key?: string): ReceivedEvent => {
  const userId = (event as { userId?: number }).userId;
  return bus.append(
    READS,
    "0",
    typeof event === "string" ? event : JSON.stringify(event),
    key ?? (userId === undefined ? undefined : String(userId)),
  );
};
const deliver = (batch: readonly ReceivedEvent[], with_: Partial<StoreDeps> = {}): Promise<void> =>
  storeReads({ hub: READS, partitionId: "0", events: batch }, { ...deps, ...with_ });

/** Each member's position in a room: user to seq. */
async function positions(room = roomId): Promise<Record<number, number>> {
  const [rows] = await database.query<RowDataPacket[]>(
    `SELECT m.user_id, m.last_read_seq, p.seq FROM room_members m
       LEFT JOIN messages p ON p.message_id = m.last_read_message_id AND p.room_id = m.room_id
      WHERE m.room_id = ?`,
    [room],
  );
  // The id and the seq must name the same message.
  for (const row of rows) expect(row["seq"] ?? 0).toBe(row["last_read_seq"]);
  return Object.fromEntries(rows.map((row) => [row["user_id"], row["last_read_seq"]]));
}

interface Shown {
  readonly roomId: number;
  readonly userId: number;
  readonly previousLastReadSeq: number;
  readonly lastReadSeq: number;
}

const framesOf = (text: string): Shown[] =>
  text
    .split("\0")
    .slice(0, -1)
    .map((frame) => JSON.parse(frame.slice(frame.indexOf("\n\n") + 2)));
/** What went to the reads of rooms under one subscription id: `user: from → to`. */
const shown = (id = "sub-0"): string[] =>
  broadcaster.sent
    .filter(({ to }) => to.startsWith("rr") && to.endsWith(`:${id}`))
    .flatMap(({ text }) => framesOf(text))
    .map(({ userId, previousLastReadSeq: from, lastReadSeq: to }) => `${userId}: ${from} → ${to}`);
const deadLetters = () =>
  bus.hubs.get(READS_DEAD)!.partitions[0]!.map(({ body }) => JSON.parse(Buffer.from(body).toString()));

async function waiting(): Promise<{ taken: boolean; user_id: number }[]> {
  const [rows] = await database.query<RowDataPacket[]>(
    "SELECT user_id, taken_by IS NOT NULL AS taken FROM read_outbox ORDER BY read_id",
  );
  return rows.map((row) => ({ user_id: row["user_id"], taken: row["taken"] === 1 }));
}

describe("a read", () => {
  test("moves its member's position, and is shown with where it was before", async () => {
    const ids = await write([1, 1, 1, 1]);
    await deliver([put(read(2, ids[1]!))]);
    expect(await positions()).toEqual({ 1: 4, 2: 2, 3: 0 });
    expect(broadcaster.sent.at(-1)).toEqual({
      to: `rr${roomId}:sub-0`,
      text: expect.stringMatching(
        new RegExp(
          `^MESSAGE\nsubscription:sub-0\ndestination:/sub/chat/room/${roomId}/read\nmessage-id:read-`,
        ),
      ),
    });
    expect(framesOf(broadcaster.sent.at(-1)!.text)).toEqual([
      {
        roomId,
        userId: 2,
        lastReadMessageId: ids[1],
        previousLastReadMessageId: null,
        lastReadSeq: 2,
        previousLastReadSeq: 0,
        readAt: READ_AT,
      },
    ]);
    await deliver([put(read(2, ids[3]!))]);
    expect(framesOf(broadcaster.sent.at(-1)!.text)).toMatchObject([
      {
        previousLastReadMessageId: ids[1],
        previousLastReadSeq: 2,
        lastReadMessageId: ids[3],
        lastReadSeq: 4,
      },
    ]);
    expect(await waiting()).toEqual([]);
  });

  test.each<[string, (ids: number[]) => Promise<number> | number]>([
    ["of what was read before", (ids) => ids[1]!],
    ["of what is older", (ids) => ids[0]!],
    // Its number there would be ahead here.
    ["of another room's message", async () => (await write([1, 1, 1, 1], await makeRoom([1, 2])))[3]!],
    [
      "of an id that no message has, below the room's last",
      async (ids) => {
        await database.query("DELETE FROM messages WHERE message_id = ?", [ids[2]]);
        return ids[2]!;
      },
    ],
  ])("%s changes nothing and shows nothing, and is no failure", async (_what, pick) => {
    const ids = await write([1, 1, 1, 1]);
    await deliver([put(read(2, ids[1]!))]);
    broadcaster.sent.length = 0;
    const other = await pick(ids);
    broadcaster.sent.length = 0;
    await deliver([put(read(2, other))]);
    const [rows] = await database.query<RowDataPacket[]>(
      "SELECT last_read_seq FROM room_members WHERE room_id = ? AND user_id = 2",
      [roomId],
    );
    expect(rows[0]?.["last_read_seq"]).toBe(2);
    expect(broadcaster.sent).toEqual([]);
    expect(deadLetters()).toEqual([]);
    expect(await waiting()).toEqual([]);
  });

  test("beyond the room's last message leads to that, whatever was written elsewhere", async () => {
    const ids = await write([1, 1]);
    await deliver([put(read(2, Number.MAX_SAFE_INTEGER)), put(read(3, ids[1]! + 1))]);
    expect(await positions()).toEqual({ 1: 2, 2: 2, 3: 2 });
    expect(broadcaster.sent.slice(-2).flatMap(({ text }) => framesOf(text))).toMatchObject([
      { lastReadMessageId: ids[1] },
      { lastReadMessageId: ids[1] },
    ]);
    const [foreign] = await write([1], await makeRoom([1, 2]));
    await write([1]);
    await deliver([put(read(2, foreign!))]);
    expect(await positions()).toMatchObject({ 2: 2 });
  });

  test("of a room without messages changes nothing", async () => {
    await deliver([put(read(2, 1)), put(read(2, Number.MAX_SAFE_INTEGER))]);
    expect(await positions()).toEqual({ 1: 0, 2: 0, 3: 0 });
    expect(broadcaster.sent).toEqual([]);
  });

  test("changes no count and no position of another member or room", async () => {
    const ids = await write([1, 1]);
    const other = await makeRoom([1, 2]);
    await write([1, 1], other);
    await deliver([put(read(2, ids[1]!))]);
    expect(await positions(other)).toEqual({ 1: 2, 2: 0 });
  });
});

describe("a batch", () => {
  test("moves each member once, to the furthest", async () => {
    const ids = await write(times(10, () => 1));
    const order = [3, 1, 7, 7, 2, 5];
    await deliver(
      order.flatMap((seq) => [put(read(2, ids[seq - 1]!)), put(read(3, ids[seq - 2]!))].filter(Boolean)),
    );
    expect(await positions()).toEqual({ 1: 10, 2: 7, 3: 6 });
    expect(shown()).toEqual(["2: 0 → 7", "3: 0 → 6"]);
  });

  test("bears the time of the furthest read", async () => {
    const ids = await write([1, 1, 1]);
    const at = (second: number): object => ({ readAt: `2026-01-02T03:04:0${second}.000Z` });
    await deliver([put(read(2, ids[0]!, at(1))), put(read(2, ids[2]!, at(2))), put(read(2, ids[1]!, at(3)))]);
    expect(framesOf(broadcaster.sent.at(-1)!.text)).toMatchObject([{ readAt: "2026-01-02T03:04:02.000Z" }]);
  });

  test("is shown in one send for each room and subscription id that takes several frames, in one each for others", async () => {
    const other = await makeRoom([1, 2, 3]);
    await addSubscriptionId(database, `rr${roomId}`, "own\\cid", true);
    // A client that subscribed to the room alone gets none of it.
    await addSubscriptionId(database, `r${roomId}`, "messages");
    const [ids, otherIds] = [await write([1, 1]), await write([1], other)];
    broadcaster.sent.length = 0;
    await deliver([
      put(read(2, ids[1]!)),
      put(read(2, otherIds[0]!, { roomId: other })),
      put(read(3, ids[0]!)),
      put(read(3, otherIds[0]!, { roomId: other })),
    ]);
    expect(broadcaster.sent.map(({ to }) => to).sort()).toEqual(
      [...[1, 2].flatMap(() => [`rr${roomId}:sub-0`, `rr${other}:sub-0`]), `rr${roomId}p:~b3duXGNpZA`].sort(),
    );
    for (const group of new Set(broadcaster.sent.map(({ to }) => to))) {
      const frames = broadcaster.sent.flatMap(({ to, text }) => (to === group ? framesOf(text) : []));
      expect(frames.map(({ userId }) => userId)).toEqual([2, 3]);
      expect(frames.map((frame) => `rr${frame.roomId}`)).toEqual(Array(2).fill(group.split(/p?:/)[0]));
    }
  });

  test("of repeats only shows nothing", async () => {
    const ids = await write([1, 1]);
    await deliver([put(read(2, ids[1]!))]);
    broadcaster.sent.length = 0;
    await deliver(times(5, () => put(read(2, ids[1]!))));
    expect(broadcaster.sent).toEqual([]);
  });

  test("delivered twice, and one that overlaps it, moves and shows once", async () => {
    const ids = await write([1, 1, 1]);
    const [a, b, c] = ids.map((id) => put(read(2, id))) as [ReceivedEvent, ReceivedEvent, ReceivedEvent];
    await deliver([a, b]);
    await deliver([a, b]);
    await deliver([b, c]);
    expect(shown()).toEqual(["2: 0 → 2", "2: 2 → 3"]);
  });

  test("delivered to several instances at once moves and shows once", async () => {
    const ids = await write(times(20, () => 1));
    const batch = ids.flatMap((id) => [put(read(2, id)), put(read(3, id))]);
    await Promise.all([
      deliver(batch),
      deliver(batch),
      deliver(batch.slice(0, 10)),
      deliver(batch.slice(5, 30)),
    ]);
    expect(await positions()).toEqual({ 1: 20, 2: 20, 3: 20 });
    // However they shared the work, the moves of each member follow each other without a gap or an overlap.
    for (const userId of [2, 3]) {
      const moves = shown().filter((move) => move.startsWith(`${userId}: `));
      const ends = moves.map((move) => move.slice(3).split(" → ").map(Number)).sort(([a], [b]) => a! - b!);
      expect(ends.map(([from]) => from)).toEqual([0, ...ends.slice(0, -1).map(([, to]) => to)]);
      expect(ends.at(-1)?.[1]).toBe(20);
    }
    expect(await waiting()).toEqual([]);
  });

  test("of 500 reads in 500 rooms is stored", async () => {
    // A few at a time: nobody waits for a connection for long.
    const rooms: number[] = [];
    while (rooms.length < 500) rooms.push(...(await Promise.all(times(10, () => makeRoom([1, 2])))));
    const batch = rooms.map((room) => bus.append(MESSAGES, "0", JSON.stringify(message(1, room))));
    await storeMessages({ hub: MESSAGES, partitionId: "0", events: batch }, deps);
    broadcaster.sent.length = 0;
    await deliver(rooms.map((room) => put(read(2, Number.MAX_SAFE_INTEGER, { roomId: room }))));
    expect(shown()).toEqual(rooms.map(() => "2: 0 → 1"));
    expect(await waiting()).toEqual([]);
  });
});

describe("an event that can never be stored", () => {
  test.each<[string, string | (() => object), string]>([
    ["garbage bytes", "\u0001\u0002 not json", "INVALID_MESSAGE"],
    ["a foreign shape", '{"v":2}', "INVALID_MESSAGE"],
    ["a message as text", () => read(2, 1, { messageId: "1" }), "INVALID_MESSAGE"],
    ["a room that is gone", () => read(2, 1, { roomId: 999_999_999 }), "ROOM_NOT_FOUND"],
    ["a reader who never was a member", () => read(77, 1), "NOT_A_MEMBER"],
  ])("%s goes to the dead-letter hub alone, and those around it are stored", async (_name, make, code) => {
    const ids = await write([1, 1]);
    const poison = typeof make === "string" ? make : make();
    const body = typeof poison === "string" ? poison : JSON.stringify(poison);
    await deliver([put(read(2, ids[0]!)), put(poison, "77"), put(read(3, ids[1]!))]);
    expect(await positions()).toEqual({ 1: 2, 2: 1, 3: 2 });
    expect(shown()).toEqual(["2: 0 → 1", "3: 0 → 2"]);
    expect(deadLetters()).toEqual([
      {
        v: 1,
        key: "77",
        hub: READS,
        partitionId: "0",
        sequenceNumber: 1,
        error: { code, message: expect.any(String) },
        body,
      },
    ]);
    expect(bus.hubs.get(READS_DEAD)!.partitions[0]![0]!.key).toBe("77");
  });

  test.each<[string, (path: object) => Promise<unknown>]>([
    ["left", () => leaveRoom({ roomId, callerId: 3 }, deps)],
    ["was removed", () => removeMember({ roomId, userId: 3, callerId: 1 }, deps)],
  ])(
    "a read of who %s meanwhile is one, keyed by the reader though it came without a key",
    async (_how, go) => {
      const ids = await write([1, 1]);
      const before = put(read(2, ids[1]!));
      const late = bus.append(READS, "0", JSON.stringify(read(3, ids[0]!)));
      await go({});
      await deps.readMerger.settled();
      broadcaster.sent.length = 0;
      await deliver([before, late]);
      expect(shown()).toEqual(["2: 0 → 2"]);
      expect(deadLetters()).toMatchObject([{ key: "3", sequenceNumber: 1, error: { code: "NOT_A_MEMBER" } }]);
      expect(bus.hubs.get(READS_DEAD)!.partitions[0]![0]!.key).toBe("3");
    },
  );

  test("keeps bytes that are no text in base64", async () => {
    await deliver([bus.append(READS, "0", Buffer.from([0xff, 0xfe, 0x00]))]);
    expect(deadLetters()).toMatchObject([{ key: "", bodyBase64: "//4A" }]);
  });

  test("which only the database refuses is found among the others", async () => {
    const ids = await write(times(300, () => 1));
    await database.query("ALTER TABLE read_outbox MODIFY last_seq TINYINT UNSIGNED NOT NULL");
    try {
      await deliver([put(read(2, ids[9]!)), put(read(3, ids[289]!)), put(read(2, ids[19]!))]);
    } finally {
      await database.query("ALTER TABLE read_outbox MODIFY last_seq BIGINT UNSIGNED NOT NULL");
    }
    expect(await positions()).toEqual({ 1: 300, 2: 20, 3: 0 });
    expect(shown()).toEqual(["2: 0 → 20"]);
    expect(deadLetters()).toMatchObject([{ sequenceNumber: 1, error: { code: "INVALID_MESSAGE" } }]);
    expect(await waiting()).toEqual([]);
  });

  test("waits, and holds up its partition, while the dead-letter hub is away", async () => {
    const ids = await write([1]);
    const batch = [put(read(2, ids[0]!)), put("poison")];
    bus.hubs.delete(READS_DEAD);
    await expect(deliver(batch, { retryBudgetMs: 500 })).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(await positions()).toMatchObject({ 2: 0 });
    bus.makeHub(READS_DEAD, 1);
    await deliver(batch);
    expect(await positions()).toMatchObject({ 2: 1 });
    expect(deadLetters()).toHaveLength(1);
    expect(shown()).toEqual(["2: 0 → 1"]);
  });
});

describe("a host that runs ahead of what is stored", () => {
  test("leaves a hole, which is read from the hub and stored first", async () => {
    const ids = await write(times(10, () => 1));
    const all = ids.map((id, index) => put(read(index % 2 ? 2 : 3, id)));
    await deliver(all.slice(0, 2));
    await deliver(all.slice(7));
    expect(await positions()).toEqual({ 1: 10, 2: 10, 3: 9 });
    expect(shown().filter((move) => move.startsWith("2"))).toEqual(["2: 0 → 2", "2: 2 → 6", "2: 6 → 10"]);
  });

  test("leaves a hole before the very first batch, of which nothing else would tell", async () => {
    const ids = await write([1, 1, 1]);
    const all = [put(read(2, ids[2]!)), put(read(3, ids[0]!)), put(read(3, ids[1]!))];
    await deliver(all.slice(2));
    expect(await positions()).toEqual({ 1: 3, 2: 3, 3: 2 });
  });

  test("leaves a hole longer than what is read at once", async () => {
    const ids = await write([1]);
    put(read(2, ids[0]!));
    const last = times(1_203, () => put(read(3, ids[0]!))).at(-1)!;
    await deliver([last]);
    expect(await positions()).toEqual({ 1: 1, 2: 1, 3: 1 });
    expect(shown()).toEqual(["2: 0 → 1", "3: 0 → 1"]);
  });

  test("passes what the hub itself has lost, and goes on", async () => {
    const ids = await write(times(6, () => 1));
    const all = ids.map((id, index) => put(read(index === 1 ? 3 : 2, id)));
    await deliver(all.slice(0, 1));
    bus.cutBefore(READS, "0", 3);
    await deliver(all.slice(5));
    expect(await positions()).toEqual({ 1: 6, 2: 6, 3: 0 });
  });
});

test("a hub that was made anew begins at 0 again and its events are not taken for old ones", async () => {
  const ids = await write([1, 1, 1]);
  await deliver([put(read(2, ids[0]!)), put(read(2, ids[1]!))]);
  bus.makeHub(READS, 2);
  await deliver([put(read(2, ids[2]!))]);
  expect(await positions()).toMatchObject({ 2: 3 });
});

describe("while the socket service is away", () => {
  test("reads are stored all the same, wait noted, and are shown by the sweep once it is back", async () => {
    const ids = await write([1, 1, 1]);
    broadcaster.away = true;
    // What would be tried again meanwhile could hold one of them when the service is back.
    const tryingOnce = { scheduleReads: () => {} };
    await deliver([put(read(2, ids[0]!)), put(read(3, ids[2]!))], tryingOnce);
    await deliver([put(read(2, ids[1]!))], tryingOnce);
    expect(await positions()).toEqual({ 1: 3, 2: 2, 3: 3 });
    expect((await waiting()).map(({ user_id }) => user_id)).toEqual([2, 3, 2]);
    broadcaster.away = false;
    expect(shown()).toEqual([]);
    await sweepReads(deps);
    await deps.readMerger.settled();
    // Joined where they follow each other: who was told of neither needs but one.
    expect(shown().sort()).toEqual(["2: 0 → 2", "3: 0 → 3"]);
    expect(await waiting()).toEqual([]);
  });

  test("a sweep that meets it away leaves all as it was for the next", async () => {
    const ids = await write([1]);
    broadcaster.away = true;
    await deliver([put(read(2, ids[0]!))]);
    const dying = createReadMerger(deps);
    await sweepReads({ ...deps, scheduleReads: dying.schedule });
    await until(() => warnings().some((line) => line.includes("could not be broadcast yet")), "a failed try");
    await dying.close();
    expect((await waiting()).map(({ user_id }) => user_id)).toEqual([2]);
    broadcaster.away = false;
    await sweepReads(deps);
    await deps.readMerger.settled();
    expect(shown()).toEqual(["2: 0 → 1"]);
  });

  test("nothing is shown twice by a sweep after all was shown", async () => {
    const ids = await write([1]);
    await deliver([put(read(2, ids[0]!))]);
    await sweepReads(deps);
    await deps.readMerger.settled();
    expect(shown()).toEqual(["2: 0 → 1"]);
  });
});

describe("a process that dies between the commit and the broadcast", () => {
  /** Stores a read and never comes back from its broadcast. */
  async function dieOn(event: ReceivedEvent): Promise<void> {
    const never = changed(broadcaster, { sendToGroup: () => new Promise<void>(() => {}) });
    // In a process of its own, which is why its bus is another one.
    void deliver([event], { broadcaster: never, bus: changed(bus, {}) });
    await until(async () => (await waiting()).length > 0, "the read is noted");
  }

  test("leaves its reads taken; the sweep shows them when they have been so for too long, and no sooner", async () => {
    const ids = await write([1]);
    await dieOn(put(read(2, ids[0]!)));
    await sweepReads(deps);
    await deps.readMerger.settled();
    expect(shown()).toEqual([]);
    expect(await waiting()).toEqual([{ user_id: 2, taken: true }]);
    await database.query("UPDATE read_outbox SET taken_at = taken_at - INTERVAL 1 MINUTE");
    await sweepReads(deps);
    await deps.readMerger.settled();
    expect(shown()).toEqual(["2: 0 → 1"]);
    expect(await waiting()).toEqual([]);
  });

  test("holds up nothing: the next batch is stored and shown", async () => {
    const ids = await write([1, 1]);
    await dieOn(put(read(2, ids[0]!)));
    await deliver([put(read(2, ids[1]!))]);
    expect(shown()).toEqual(["2: 1 → 2"]);
    await database.query("UPDATE read_outbox SET taken_at = taken_at - INTERVAL 1 MINUTE");
    await sweepReads(deps);
    await deps.readMerger.settled();
    expect(shown()).toEqual(["2: 1 → 2", "2: 0 → 1"]);
  });

  test("or before it: nothing has happened, and the host brings the batch again", async () => {
    const ids = await write([1]);
    const event = put(read(2, ids[0]!));
    const dead = changed(database, {
      async getConnection() {
        const connection = await database.getConnection();
        return changed(connection, {
          // The statement that would commit finds the connection gone.
          query: (async (options: { sql: string }) => {
            if (options.sql.endsWith("COMMIT")) connection.destroy();
            return connection.query(options as never);
          }) as never,
        });
      },
    });
    await expect(deliver([event], { database: dead, retryBudgetMs: 500 })).rejects.toThrow();
    expect(await positions()).toMatchObject({ 2: 0 });
    expect(await waiting()).toEqual([]);
    await deliver([event]);
    expect(shown()).toEqual(["2: 0 → 1"]);
  });
});

describe("a message reads what stood before it, for its sender", () => {
  test("which is shown on the reads, and the message bears a count without them", async () => {
    await write([1, 1, 1]);
    await addSubscriptionId(database, `r${roomId}`, "sub-0");
    broadcaster.sent.length = 0;
    await write([1, 2, 1]);
    expect(await positions()).toEqual({ 1: 6, 2: 5, 3: 0 });
    // Up to the last one before the batch; those of the batch bear counts that know of it.
    expect(shown()).toEqual(["2: 0 → 3"]);
    const messages = broadcaster.sent
      .filter(({ to }) => to === `r${roomId}:sub-0`)
      .flatMap(({ text }) => framesOf(text) as unknown as { seq: number; unreadCount: number }[]);
    expect(messages.map(({ seq, unreadCount }) => [seq, unreadCount])).toEqual([
      [4, 1],
      [5, 1],
      [6, 2],
    ]);
  });

  test("and shows nothing where they had read it", async () => {
    const ids = await write([1, 1]);
    await deliver([put(read(2, ids[1]!))]);
    broadcaster.sent.length = 0;
    await write([2]);
    await write([2]);
    expect(shown()).toEqual([]);
    expect(await positions()).toEqual({ 1: 2, 2: 4, 3: 0 });
  });

  test("and a read that comes after it, of something older, changes nothing", async () => {
    const ids = await write([1, 1]);
    await write([2]);
    broadcaster.sent.length = 0;
    await deliver([put(read(2, ids[0]!))]);
    expect(await positions()).toMatchObject({ 2: 3 });
    expect(broadcaster.sent).toEqual([]);
  });

  test("is made good by the sweep where it could not be shown", async () => {
    await write([1, 1]);
    // Only what goes to the reads fails, and the process dies before it has tried again.
    const half = changed(broadcaster, {
      sendToGroup: async (group: string, text: string) => {
        if (group.startsWith("rr")) throw new Error("away");
        await broadcaster.sendToGroup(group, text);
      },
    });
    const event = bus.append(MESSAGES, "0", JSON.stringify(message(2)));
    const dying = { ...deps, broadcaster: half, scheduleReads: () => {} };
    await storeMessages({ hub: MESSAGES, partitionId: "0", events: [event] }, dying);
    expect(shown()).toEqual([]);
    await sweepReads(deps);
    await deps.readMerger.settled();
    expect(shown()).toEqual(["2: 0 → 2"]);
  });
});

const warnings = (): string[] => vi.mocked(console.warn).mock.calls.map(([line]) => String(line));

describe("reads, messages and changes of members of the same rooms at once", () => {
  test.each([1, 2, 3])(
    "never wait for each other in a circle, and end where they lead: seed %i",
    async (seed) => {
      const next = randomOf(seed);
      const random = (below: number): number => Math.floor(next() * below);
      const users = times(12, (index) => index + 1);
      const rooms = await Promise.all(times(8, () => makeRoom(users)));
      const partitionOfRoom = new Map(rooms.map((room, index) => [room, String(index % 3)]));
      const any = <T>(list: readonly T[]): T => list[random(list.length)]!;

      const messagesOf = async (partitionId: string): Promise<void> => {
        const own = rooms.filter((room) => partitionOfRoom.get(room) === partitionId);
        for (let round = 0; round < 25; round += 1) {
          const batch = times(1 + random(30), () =>
            bus.append(MESSAGES, partitionId, JSON.stringify(message(any(users), any(own)))),
          );
          await storeMessages({ hub: MESSAGES, partitionId, events: batch }, deps);
        }
      };
      const furthest = new Map<string, number>();
      const readsOf = async (partitionId: string): Promise<void> => {
        const own = users.filter((user) => user % 2 === Number(partitionId));
        for (let round = 0; round < 25; round += 1) {
          const batch = await Promise.all(
            times(1 + random(30), async () => {
              const [user, room] = [any(own), any(rooms)];
              const ids = await messageIds(room);
              const seq = ids.length === 0 ? 0 : 1 + random(ids.length);
              const key = `${room} ${user}`;
              furthest.set(key, Math.max(furthest.get(key) ?? 0, seq));
              const event = read(user, ids[seq - 1] ?? 1, { roomId: room });
              return bus.append(READS, partitionId, JSON.stringify(event), String(user));
            }),
          );
          // Several instances now and then, as while a partition changes hands.
          const one = () =>
            storeReads(
              {
                hub: READS,
                partitionId,
                events: batch.toSorted((a, b) => a.sequenceNumber - b.sequenceNumber),
              },
              deps,
            );
          await Promise.all(random(4) === 0 ? [one(), one()] : [one()]);
        }
      };
      const changesOf = async (user: number): Promise<void> => {
        for (let round = 0; round < 10; round += 1) {
          const room = any(rooms);
          await inviteMembers({ roomId: room, userIds: [user, user + 1], callerId: 1 }, deps);
          if (random(2)) await leaveRoom({ roomId: room, callerId: user }, deps);
          else await removeMember({ roomId: room, userId: user, callerId: 1 }, deps);
        }
      };
      const sweeps = async (): Promise<void> => {
        for (let round = 0; round < 15; round += 1) {
          await sweepReads(deps);
          await new Promise((resolve) => setTimeout(resolve, 30));
        }
      };
      await Promise.all([
        ...["0", "1", "2"].map(messagesOf),
        ...["0", "1"].map(readsOf),
        changesOf(100),
        changesOf(200),
        sweeps(),
      ]);
      await sweepReads(deps);
      await deps.readMerger.settled();

      expect(warnings().filter((line) => /tried again|DEADLOCK/i.test(line))).toEqual([]);
      expect(vi.mocked(console.error).mock.calls).toEqual([]);
      expect(await waiting()).toEqual([]);
      for (const room of rooms) {
        const [rows] = await database.query<RowDataPacket[]>(
          "SELECT sender_id, MAX(seq) AS seq FROM messages WHERE room_id = ? GROUP BY sender_id",
          [room],
        );
        const sent = new Map(rows.map((row) => [row["sender_id"] as number, row["seq"] as number]));
        const at = await positions(room);
        for (const user of users)
          expect([room, user, at[user]]).toEqual([
            room,
            user,
            Math.max(furthest.get(`${room} ${user}`) ?? 0, sent.get(user) ?? 0),
          ]);
      }
    },
  );
});
