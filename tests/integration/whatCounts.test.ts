import type { RowDataPacket } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { MessagesDeps } from "../../shared/messages/deps.js";
import { deleteMessage } from "../../shared/messages/hide.js";
import { listMessages } from "../../shared/messages/list.js";
import { storeMessages } from "../../shared/messages/store.js";
import { createReadMerger, type ReadMerger } from "../../shared/reads/merge.js";
import { storeReads } from "../../shared/reads/store.js";
import { portsOf } from "../../shared/redis/ports.js";
import { createArrivals } from "../../shared/rooms/arrivals.js";
import { inviteMembers, leaveRoom, removeMember } from "../../shared/rooms/changeMembers.js";
import { changeRoom } from "../../shared/rooms/changeRoom.js";
import { createGroupRoom, openDirectRoom } from "../../shared/rooms/createRooms.js";
import { listMembers } from "../../shared/rooms/listMembers.js";
import { listRooms } from "../../shared/rooms/listRooms.js";
import type { RoomDeps } from "../../shared/rooms/roomDeps.js";
import { withdrawUser } from "../../shared/rooms/withdrawUser.js";
import type { Database } from "../../shared/store/database.js";
import { addSubscriptionId } from "../../shared/store/subscriptionIds.js";
import { rememberUser } from "../../shared/store/users.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { changed } from "../fakes/changed.js";
import { FakeEventBus } from "../fakes/eventBus.js";
import { FakeSessionStore } from "../fakes/sessionStore.js";
import type { Json } from "../support/client.js";
import { newDatabase } from "../support/database.js";
import { seededRandom } from "../support/seed.js";

type StoreDeps = MessagesDeps & { readonly readMerger: ReadMerger };

/**
 * Unread counts are subtractions. Here they are compared with counts over the messages, whatever was done
 * before, one after the other and at once.
 */

const MESSAGES = "chat-messages";
const READS = "chat-read-events";
const AT = "2026-01-02T03:04:05.678Z";
/** Users above this have never been here. */
const KNOWN = 1_000;

let database: Database;
let closeDatabase: () => Promise<void>;
let bus: FakeEventBus;
let broadcaster: FakeBroadcaster;
let deps: StoreDeps & RoomDeps;
let roomId: number;
let hubAge = 0;
let stored = 0;
let events = 0;
/** Ids that no other test has. */
let strangers = KNOWN;

beforeAll(async () => {
  ({ database, close: closeDatabase } = await newDatabase(KNOWN));
});
afterAll(() => closeDatabase());

beforeEach(async () => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  bus = new FakeEventBus({ [MESSAGES]: 1, [READS]: 1, "chat-messages-dlt": 1, "chat-read-events-dlt": 1 });
  hubAge += 2;
  for (let times = 0; times < hubAge; times += 1) for (const hub of [MESSAGES, READS]) bus.makeHub(hub, 1);
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
  stored = 0;
  roomId = await makeGroup([1, 2, 3]);
});
afterEach(async () => {
  await deps.readMerger.close();
  vi.restoreAllMocks();
});

const makeGroup = async ([creator, ...others]: readonly number[]): Promise<number> =>
  (await createGroupRoom({ roomName: "room", userIds: others, callerId: creator! }, deps)).roomId;
const stranger = (): number => ++strangers;
const arrive = (userId: number, with_: Partial<typeof deps> = {}) =>
  createArrivals({ ...deps, ...with_ })(userId);
const invite = (userIds: readonly number[], by = 1) => inviteMembers({ roomId, userIds, callerId: by }, deps);
const leave = (userId: number) => leaveRoom({ roomId, callerId: userId }, deps);

/** Stores what has been published since the last time. */
async function store(): Promise<void> {
  const all = bus.hubs.get(MESSAGES)!.partitions[0]!;
  const batch = all.slice(stored);
  stored = all.length;
  if (batch.length > 0) await storeMessages({ hub: MESSAGES, partitionId: "0", events: batch }, deps);
}

function publish(senderId: number, room = roomId): void {
  const event = {
    v: 1,
    eventId: `event-${++events}`,
    roomId: room,
    senderId,
    senderNickname: `User ${senderId}`,
    clientMessageId: null,
    type: "TEXT",
    content: `message ${events}`,
    sentAt: AT,
  };
  bus.append(MESSAGES, "0", JSON.stringify(event), String(room));
}

/** Stores a message of each of these users, in one batch. */
async function say(...senders: readonly number[]): Promise<void> {
  for (const sender of senders) publish(sender);
  await store();
}

const messageAt = async (seq: number, room = roomId): Promise<number> =>
  (await select("SELECT message_id FROM messages WHERE room_id = ? AND seq = ?", [room, seq]))[0]![
    "message_id"
  ];

async function read(userId: number, messageId: number, room = roomId): Promise<void> {
  const event = { v: 1, roomId: room, userId, messageId, readAt: AT };
  const received = bus.append(READS, "0", JSON.stringify(event), String(userId));
  await storeReads({ hub: READS, partitionId: "0", events: [received] }, deps);
}

const hide = async (userId: number, seq: number) =>
  deleteMessage({ roomId, messageId: await messageAt(seq), callerId: userId }, deps);

async function select(sql: string, values: unknown[] = []): Promise<readonly RowDataPacket[]> {
  return (await database.query<RowDataPacket[]>(sql, values))[0];
}

/** A user's unread count of the room in the list, or nothing where it is not there. */
const unreadOf = async (userId: number, room = roomId): Promise<number | undefined> =>
  (await listRooms({ limit: 100, callerId: userId }, deps)).rooms.find((one) => one.roomId === room)
    ?.unreadCount;

/** The counts of the room's messages as a member sees them. */
async function countsFor(userId: number): Promise<number[]> {
  const { messages } = (await listMessages({ roomId, after: 0, limit: 100, callerId: userId }, deps)) as Json;
  return messages.map(({ unreadCount }: Json) => unreadCount);
}

/**
 * Every number that a count is made of, beside what a count over the messages, members and deletions says;
 * only where they differ.
 */
async function wrongNumbers(): Promise<readonly RowDataPacket[]> {
  const system = "SUM(x.type LIKE 'SYSTEM%')";
  return [
    ...(await select(
      `SELECT m.room_id, m.seq, m.uncounted, COALESCE((SELECT ${system} FROM messages x WHERE x.room_id = m.room_id AND x.seq <= m.seq), 0) AS due
         FROM messages m HAVING uncounted <> due`,
    )),
    ...(await select(
      `SELECT r.room_id, r.last_uncounted, r.member_count, r.awaited_count,
              COALESCE((SELECT ${system} FROM messages x WHERE x.room_id = r.room_id), 0) AS uncounted,
              (SELECT COUNT(*) FROM room_members x WHERE x.room_id = r.room_id) AS members,
              (SELECT COUNT(*) FROM room_members x WHERE x.room_id = r.room_id AND x.last_read_seq = ${Number.MAX_SAFE_INTEGER}) AS awaited
         FROM rooms r HAVING last_uncounted <> uncounted OR member_count <> members OR awaited_count <> awaited`,
    )),
    ...(await select(
      `SELECT m.room_id, m.user_id, m.last_read_seq, m.last_read_uncounted, m.hidden_unread,
              COALESCE((SELECT ${system} FROM messages x WHERE x.room_id = m.room_id AND x.seq <= m.last_read_seq), 0) AS uncounted,
              (SELECT COUNT(*) FROM messages x JOIN hidden_messages h ON h.room_id = x.room_id AND h.seq = x.seq AND h.user_id = m.user_id
                WHERE x.room_id = m.room_id AND x.seq > m.last_read_seq AND x.type NOT LIKE 'SYSTEM%') AS hidden
         FROM room_members m WHERE m.last_read_seq < ${Number.MAX_SAFE_INTEGER}
       HAVING last_read_uncounted <> uncounted OR hidden_unread <> hidden`,
    )),
    ...(await select(
      `SELECT m.room_id, m.user_id, u.presence, m.last_read_seq FROM room_members m LEFT JOIN users u ON u.user_id = m.user_id
        WHERE (m.last_read_seq = ${Number.MAX_SAFE_INTEGER}) <> COALESCE(u.presence = 'AWAITED', 0)`,
    )),
  ];
}

describe("system messages", () => {
  test("count as unread for nobody, however many there are", async () => {
    await say(1);
    await invite([10, 11]);
    await invite([12]);
    await changeRoom({ roomId, name: "renamed", callerId: 1 }, deps);
    await removeMember({ roomId, userId: 12, callerId: 1 }, deps);
    await leave(11);
    await store();
    await say(1);
    expect(await unreadOf(2)).toBe(2);
    expect(await unreadOf(10)).toBe(1);
    expect(await unreadOf(1)).toBe(0);
    expect(await countsFor(2)).toEqual([2, 0, 0, 0, 0, 0, 3]);
    expect(await wrongNumbers()).toEqual([]);
  });

  test("one is read up to like any other message", async () => {
    await say(1);
    await invite([10]);
    await store();
    await say(1);
    await read(2, await messageAt(2));
    expect(await unreadOf(2)).toBe(1);
    await read(2, 2 ** 45);
    expect(await unreadOf(2)).toBe(0);
    expect(await wrongNumbers()).toEqual([]);
  });

  test("one invitation is one message; who is invited twice or is a member is not in it", async () => {
    await rememberUser(database, { userId: 21, nickname: "Ben" });
    const { invited } = await invite([21, 2, 22, 21, 23, 24, 25]);
    expect(invited).toEqual([21, 22, 23, 24, 25]);
    await store();
    const { messages } = (await listMessages({ roomId, callerId: 1, limit: 50 }, deps)) as Json;
    expect(messages).toMatchObject([
      {
        type: "SYSTEM_INVITE",
        senderId: 1,
        content: "User 1 invited Ben, User 22, User 23 and 2 others",
        target: { userId: 21, nickname: "Ben" },
        targets: [
          { userId: 21, nickname: "Ben" },
          ...[22, 23, 24, 25].map((userId) => ({ userId, nickname: `User ${userId}` })),
        ],
        unreadCount: 0,
      },
    ]);
  });

  test.each([
    [[31], "User 1 invited User 31"],
    [[31, 32], "User 1 invited User 31 and User 32"],
    [[31, 32, 33], "User 1 invited User 31, User 32 and User 33"],
    [[31, 32, 33, 34], "User 1 invited User 31, User 32, User 33 and 1 other"],
  ])("of %j says it in a sentence", async (userIds, sentence) => {
    await invite(userIds);
    await store();
    const { messages } = (await listMessages({ roomId, callerId: 1, limit: 50 }, deps)) as Json;
    expect(messages[0].content).toBe(sentence);
  });

  test("one of before, for one user alone, has a list, too", async () => {
    await invite([41]);
    await store();
    await database.query("UPDATE messages SET targets = NULL WHERE room_id = ?", [roomId]);
    const { messages } = (await listMessages({ roomId, callerId: 1, limit: 50 }, deps)) as Json;
    expect(messages[0].targets).toEqual([{ userId: 41, nickname: "User 41" }]);
    const [room] = (await listRooms({ limit: 1, callerId: 1 }, deps)).rooms;
    expect(room!.lastMessage!.targets).toEqual([{ userId: 41, nickname: "User 41" }]);
  });

  test("a renaming says the new name; the same name again changes and tells nothing", async () => {
    const look = { roomId, name: "Team", imageUrl: null };
    expect(await changeRoom({ roomId, name: "Team", callerId: 2 }, deps)).toEqual(look);
    expect(await changeRoom({ roomId, name: "Team", callerId: 3 }, deps)).toEqual(look);
    await store();
    const { messages } = (await listMessages({ roomId, callerId: 1, limit: 50 }, deps)) as Json;
    expect(messages).toMatchObject([
      {
        type: "SYSTEM_RENAME",
        senderId: 2,
        roomName: "Team",
        content: "User 2 renamed the group to Team",
        unreadCount: 0,
      },
    ]);
    expect(messages[0]).not.toHaveProperty("target");
    const [room] = (await listRooms({ limit: 1, callerId: 3 }, deps)).rooms;
    expect(room).toMatchObject({
      name: "Team",
      unreadCount: 0,
      lastMessage: { type: "SYSTEM_RENAME", senderNickname: "User 2", roomName: "Team" },
    });
  });
});

describe("a message that one has deleted for oneself", () => {
  beforeEach(() => say(1, 1, 1, 1));

  test.each<[string, () => Promise<unknown>, number]>([
    ["unread, is unread no more", () => hide(2, 3), 3],
    [
      "twice, counts once",
      async () => {
        await hide(2, 3);
        await hide(2, 3);
      },
      3,
    ],
    [
      "and read past, counts as neither",
      async () => {
        await hide(2, 3);
        await read(2, await messageAt(3));
      },
      1,
    ],
    [
      "above what is read, stays out",
      async () => {
        await hide(2, 3);
        await hide(2, 1);
        await read(2, await messageAt(2));
      },
      1,
    ],
    [
      "after it was read, changes nothing",
      async () => {
        await read(2, await messageAt(3));
        await hide(2, 2);
      },
      1,
    ],
    ["the last one", () => hide(2, 4), 3],
    ["all of them", () => Promise.all([1, 2, 3, 4].map((seq) => hide(2, seq))), 0],
    ["all at once, several times", () => Promise.all([1, 2, 3, 4, 4, 3, 2, 1].map((seq) => hide(2, seq))), 0],
    [
      "all of them, and one sends",
      async () => {
        for (const seq of [1, 2, 3, 4]) await hide(2, seq);
        await say(2);
        await say(1);
      },
      1,
    ],
  ])("%s", async (_what, does, unread) => {
    await does();
    expect(await unreadOf(2)).toBe(unread);
    // Nobody else's.
    expect(await unreadOf(3)).toBeGreaterThanOrEqual(4);
    expect(await wrongNumbers()).toEqual([]);
  });

  test("and is a system message, was no unread one", async () => {
    await invite([10]);
    await store();
    await hide(2, 5);
    expect(await unreadOf(2)).toBe(4);
    expect(await wrongNumbers()).toEqual([]);
  });

  test("does not come back to the count of who leaves and comes again", async () => {
    await hide(2, 4);
    await leave(2);
    await invite([2]);
    await store();
    await say(1);
    expect(await unreadOf(2)).toBe(1);
    expect(await wrongNumbers()).toEqual([]);
  });
});

describe("a member who has never been here", () => {
  let eve: number;
  beforeEach(async () => {
    eve = stranger();
    await invite([eve]);
    await store();
  });

  const positionOf = async (userId: number, by = 1): Promise<Json> =>
    (await listMembers({ roomId, callerId: by }, deps)).members.find((one) => one.userId === userId);

  test("is a member that nothing waits for, live and in the history", async () => {
    await addSubscriptionId(database, `r${roomId}`, "sub-0");
    await say(1);
    expect(broadcaster.sent.at(-1)!.text).toContain('"unreadCount":2');
    expect(await countsFor(1)).toEqual([0, 2]);
    expect(await positionOf(eve)).toMatchObject({ isAwaited: true, lastReadMessageId: await messageAt(2) });
    expect(await positionOf(2)).toMatchObject({ isAwaited: false });
    await say(1);
    expect(await positionOf(eve)).toMatchObject({ lastReadMessageId: await messageAt(3) });
    expect((await listRooms({ callerId: 1, limit: 50 }, deps)).rooms[0]!.memberCount).toBe(4);
    expect(await wrongNumbers()).toEqual([]);
  });

  test("comes with their first token, from the room's last message on, which is told", async () => {
    await say(1);
    await addSubscriptionId(database, `rr${roomId}`, "sub-0");
    await arrive(eve);
    await deps.readMerger.settled();
    expect(await positionOf(eve)).toMatchObject({ isAwaited: false, lastReadMessageId: await messageAt(2) });
    expect(await unreadOf(eve)).toBe(0);
    const { text } = broadcaster.sent.at(-1)!;
    expect(JSON.parse(text.slice(text.indexOf("\n\n") + 2, -1))).toMatchObject({
      userId: eve,
      lastReadSeq: 2,
      previousLastReadSeq: 2,
      lastReadMessageId: await messageAt(2),
    });
    await say(1);
    expect(await unreadOf(eve)).toBe(1);
    expect(await countsFor(1)).toEqual([0, 2, 3]);
    expect(await wrongNumbers()).toEqual([]);
  });

  test("comes to all their rooms, those without messages and one-to-one rooms among them", async () => {
    const rooms = [roomId];
    for (let count = 0; count < 120; count += 1) rooms.push(await makeGroup([1, eve]));
    rooms.push((await openDirectRoom({ targetUserId: eve, callerId: 1 }, deps)).roomId);
    await Promise.all([arrive(eve), arrive(eve), arrive(eve)]);
    expect(await wrongNumbers()).toEqual([]);
    const awaiting = await select("SELECT 1 FROM rooms WHERE room_id IN (?) AND awaited_count > 0", [rooms]);
    expect(awaiting).toEqual([]);
    expect(await select("SELECT presence FROM users WHERE user_id = ?", [eve])).toEqual([
      { presence: "PRESENT" },
    ]);
  });

  test("goes without leaving a number behind", async () => {
    await leave(eve);
    const zoe = stranger();
    await invite([zoe]);
    await removeMember({ roomId, userId: zoe, callerId: 1 }, deps);
    await store();
    await say(1);
    expect((await countsFor(1)).at(-1)).toBe(2);
    expect(await wrongNumbers()).toEqual([]);
  });

  test("whose arrival was interrupted is finished by the next token", async () => {
    await makeGroup([1, eve]);
    const dying = changed(database, {
      async getConnection() {
        const connection = await database.getConnection();
        return changed(connection, {
          query: (async (options: { sql: string }) => {
            if (/awaited_count = awaited_count - 1/.test(options.sql))
              throw new Error("the process has died");
            return connection.query(options as never);
          }) as never,
        });
      },
    });
    await arrive(eve, { database: dying });
    expect(await select("SELECT presence FROM users WHERE user_id = ?", [eve])).toEqual([
      { presence: "ARRIVING" },
    ]);
    const later = await makeGroup([1, eve]);
    expect(
      (await select("SELECT awaited_count FROM rooms WHERE room_id = ?", [later]))[0]!["awaited_count"],
    ).toBe(0);
    await arrive(eve);
    expect(await wrongNumbers()).toEqual([]);
  });

  test("who comes in the midst of an invitation is not awaited by it for ever", async () => {
    const zoe = stranger();
    let [pausing, goOn] = [() => {}, () => {}];
    const paused = new Promise<void>((resolve) => {
      pausing = resolve;
    });
    const mayGoOn = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const slow = changed(database, {
      async getConnection() {
        const connection = await database.getConnection();
        return changed(connection, {
          query: (async (options: { sql: string }) => {
            if (options.sql.startsWith("INSERT INTO room_members")) {
              pausing();
              await mayGoOn;
            }
            return connection.query(options as never);
          }) as never,
        });
      },
    });
    const inviting = inviteMembers({ roomId, userIds: [zoe], callerId: 1 }, { ...deps, database: slow });
    await paused;
    const arriving = arrive(zoe);
    await new Promise((resolve) => setTimeout(resolve, 200));
    goOn();
    await Promise.all([inviting, arriving]);
    expect(await positionOf(zoe)).toMatchObject({ isAwaited: false });
    expect(await wrongNumbers()).toEqual([]);
  });

  test("is still awaited where a token could not be noted, and may write all the same", async () => {
    await say(eve);
    expect(await countsFor(1)).toEqual([0, 3]);
    await read(eve, await messageAt(1));
    expect(await wrongNumbers()).toEqual([]);
    await arrive(eve);
    expect(await unreadOf(eve)).toBe(0);
    expect(await wrongNumbers()).toEqual([]);
  });

  test("whom nobody awaited is here with their first token, and never awaited", async () => {
    const new_ = stranger();
    await arrive(new_);
    await invite([new_]);
    await store();
    await say(1);
    expect(await unreadOf(new_)).toBe(1);
    expect(await wrongNumbers()).toEqual([]);
  });

  test("with a nickname from the identity provider alone is no other", async () => {
    await rememberUser(database, { userId: eve, nickname: "Eve" });
    expect(await positionOf(eve)).toMatchObject({ isAwaited: true, nickname: "Eve" });
    expect(await wrongNumbers()).toEqual([]);
  });

  test("costs a process nothing once it knows them", async () => {
    let queries = 0;
    const counting = changed(database, {
      query: ((sql: string, values?: unknown) => {
        queries += 1;
        return database.query(sql, values);
      }) as Database["query"],
    });
    const noteArrival = createArrivals({ ...deps, database: counting });
    await noteArrival(1);
    expect(queries).toBe(1);
    await noteArrival(1);
    expect(queries).toBe(1);
  });
});

describe("everything at once", () => {
  test.each(Array.from({ length: 6 }, (_, round) => round))("leaves every number exact (%i)", async () => {
    const known = [1, 2, 3, 4, 5, 6];
    const awaited = Array.from({ length: 6 }, stranger);
    const rooms = [roomId, await makeGroup([2, 3, awaited[0]!]), await makeGroup([1, 4])];
    const random = seededRandom();
    const dice = (sides: number): number => Math.floor(random() * sides);
    const one = <T>(list: readonly T[]): T => list[dice(list.length)]!;
    const quiet = (work: Promise<unknown>) =>
      work.catch((error: { code?: string }) => {
        if (
          !["NOT_A_MEMBER", "MEMBER_NOT_FOUND", "FORBIDDEN", "MESSAGE_NOT_FOUND", "INVALID_REQUEST"].includes(
            error.code ?? "",
          )
        )
          throw error;
      });
    const lastOf = async (room: number): Promise<number> =>
      (await select("SELECT last_seq FROM rooms WHERE room_id = ?", [room]))[0]!["last_seq"];
    const someMessage = async (room: number): Promise<number | undefined> => {
      const last = await lastOf(room);
      return last === 0 ? undefined : messageAt(1 + dice(last), room);
    };
    const reader = async (): Promise<void> => {
      // One partition has one reader.
      for (let times = 0; times < 25; times += 1) {
        const room = one(rooms);
        const messageId = await someMessage(room);
        if (messageId !== undefined) await read(one(known), one([messageId, messageId, 2 ** 45]), room);
      }
    };
    const writer = async (): Promise<void> => {
      for (let times = 0; times < 25; times += 1) {
        for (let count = dice(4); count >= 0; count -= 1) publish(one([...known, one(awaited)]), one(rooms));
        await store();
      }
    };
    const changer = async (): Promise<void> => {
      for (let times = 0; times < 12; times += 1) {
        const room = one(rooms);
        const at = { roomId: room };
        const by = one(known);
        const messageId = await someMessage(room);
        const acts: (() => Promise<unknown>)[] = [
          () =>
            inviteMembers({ ...at, userIds: [one(known), one(awaited), one(awaited)], callerId: by }, deps),
          () => removeMember({ ...at, userId: one([...known, ...awaited]), callerId: by }, deps),
          () => leaveRoom({ ...at, callerId: by }, deps),
          () => changeRoom({ ...at, name: `room ${dice(3)}`, callerId: by }, deps),
          () => arrive(one(awaited)),
          async () => messageId && deleteMessage({ ...at, messageId, callerId: by }, deps),
          async () => messageId && deleteMessage({ ...at, messageId, callerId: by }, deps),
          () => openDirectRoom({ targetUserId: one(awaited), callerId: by }, deps),
        ];
        await quiet(one(acts)());
      }
    };
    await Promise.all([reader(), writer(), changer(), changer(), changer()]);
    await store();
    expect(await wrongNumbers()).toEqual([]);
    await Promise.all(awaited.map((userId) => arrive(userId)));
    expect(await wrongNumbers()).toEqual([]);
    // What the list says is what a count says.
    for (const userId of [...known, ...awaited])
      for (const room of (await listRooms({ limit: 100, callerId: userId }, deps)).rooms) {
        const [due] = await select(
          `SELECT COUNT(*) AS unread FROM messages x JOIN room_members m ON m.room_id = x.room_id AND m.user_id = ?
             LEFT JOIN hidden_messages h ON h.room_id = x.room_id AND h.user_id = m.user_id AND h.seq = x.seq
            WHERE x.room_id = ? AND x.seq > m.last_read_seq AND x.type NOT LIKE 'SYSTEM%' AND h.seq IS NULL`,
          [userId, room.roomId],
        );
        expect(room.unreadCount).toBe(due!["unread"]);
      }
  });
});

describe("a user who is withdrawn", () => {
  test("leaves every room as if by themselves; a repeat finds nothing", async () => {
    const [gone, other] = [stranger(), stranger()];
    await Promise.all([arrive(gone), arrive(other)]);
    const groups = [];
    for (let count = 0; count < 5; count += 1) groups.push(await makeGroup([gone, other, 1]));
    const { roomId: direct } = await openDirectRoom({ targetUserId: other, callerId: gone }, deps);
    expect(await withdrawUser({ userId: gone }, deps)).toEqual({ userId: gone, rooms: 6 });
    expect(await withdrawUser({ userId: gone }, deps)).toEqual({ userId: gone, rooms: 0 });
    await store();
    expect((await listRooms({ callerId: gone, limit: 50 }, deps)).rooms).toEqual([]);
    const { rooms } = await listRooms({ limit: 100, callerId: other }, deps);
    for (const room of groups) {
      expect(rooms.find((one) => one.roomId === room)).toMatchObject({
        memberCount: 2,
        unreadCount: 0,
        lastMessage: { type: "SYSTEM_LEAVE", senderId: gone, target: { userId: gone } },
      });
      const { members } = await listMembers({ roomId: room, callerId: other }, deps);
      expect(members.filter(({ isCreator }) => isCreator)).toHaveLength(1);
    }
    expect(rooms.find((one) => one.roomId === direct)).toMatchObject({ memberCount: 1, lastMessage: null });
    expect(await wrongNumbers()).toEqual([]);
  });

  test("from more rooms than there is time for goes on where it stopped", async () => {
    const gone = stranger();
    await arrive(gone);
    for (let count = 0; count < 12; count += 1) await makeGroup([1, gone]);
    let calls = 0;
    const began = Date.now();
    // The time is up in the midst of it.
    const late = { ...deps, now: () => began + (++calls > 12 ? 60_000 : 0) };
    await expect(withdrawUser({ userId: gone }, late)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    const left = (await listRooms({ limit: 100, callerId: gone }, deps)).rooms.length;
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(12);
    expect(await withdrawUser({ userId: gone }, deps)).toEqual({ userId: gone, rooms: left });
  });

  test("who is no user is in no room", async () => {
    expect(await withdrawUser({ userId: 123_456_789 }, deps)).toEqual({ userId: 123_456_789, rooms: 0 });
  });
});
