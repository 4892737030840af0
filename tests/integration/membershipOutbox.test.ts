import type { RowDataPacket } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Broadcaster } from "../../shared/broadcast/broadcaster.js";
import type { EventBus, ReceivedEvent } from "../../shared/bus/eventBus.js";
import { requireMember } from "../../shared/chat/membership.js";
import type { CommandDeps } from "../../shared/commands/command.js";
import { handleMessage } from "../../shared/commands/dispatch.js";
import type { MessagesDeps } from "../../shared/messages/deps.js";
import { listMessages } from "../../shared/messages/list.js";
import { storeMessages } from "../../shared/messages/store.js";
import { createReadMerger, type ReadMerger } from "../../shared/reads/merge.js";
import { portsOf } from "../../shared/redis/ports.js";
import { inviteMembers, leaveRoom, removeMember } from "../../shared/rooms/changeMembers.js";
import { changeRoom } from "../../shared/rooms/changeRoom.js";
import { createGroupRoom, openDirectRoom } from "../../shared/rooms/createRooms.js";
import { finishChanges, sweepChanges } from "../../shared/rooms/finishChanges.js";
import { listRooms } from "../../shared/rooms/listRooms.js";
import type { RoomDeps } from "../../shared/rooms/roomDeps.js";
import type { Database } from "../../shared/store/database.js";
import { insertChanges } from "../../shared/store/membershipOutbox.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { changed } from "../fakes/changed.js";
import { FakeEventBus } from "../fakes/eventBus.js";
import { UNLIMITED } from "../fakes/limits.js";
import { FakeSessionStore } from "../fakes/sessionStore.js";
import { until } from "../support/client.js";
import { newDatabase } from "../support/database.js";

// The pauses before what failed is tried again take minutes in all.
vi.mock("node:timers/promises", () => import("../support/shortPauses.js"));

type StoreDeps = MessagesDeps & { readonly readMerger: ReadMerger };

const MESSAGES = "chat-messages";
const AT = "2026-01-02T03:04:05.678Z";

type Deps = StoreDeps & RoomDeps & CommandDeps;

let database: Database;
let closeDatabase: () => Promise<void>;
let bus: FakeEventBus;
let broadcaster: FakeBroadcaster;
let sessions: FakeSessionStore;
let deps: Deps;
let roomId: number;
let hubAge = 0;
/** How many of the bus's events have been stored. */
let stored = 0;

beforeAll(async () => {
  ({ database, close: closeDatabase } = await newDatabase());
});
afterAll(() => closeDatabase());

beforeEach(async () => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  bus = new FakeEventBus({ [MESSAGES]: 1, "chat-messages-dlt": 1 });
  // Each test has a hub of its own creation time, and so positions of its own.
  hubAge += 2;
  for (let times = 0; times < hubAge; times += 1) bus.makeHub(MESSAGES, 1);
  broadcaster = new FakeBroadcaster();
  sessions = new FakeSessionStore();
  const readMerger = createReadMerger({ database, broadcaster, now: Date.now, ...portsOf(sessions) });
  deps = {
    database,
    bus,
    broadcaster,
    ...portsOf(sessions),
    readMerger,
    scheduleReads: readMerger.schedule,
    now: Date.now,
    retryBudgetMs: 600_000,
    limits: UNLIMITED,
    heartBeats: true,
    verifyToken: () => Promise.reject(new Error("not asked")),
  };
  stored = 0;
  await database.query("DELETE FROM membership_outbox");
  roomId = await makeGroup([1, 2, 3]);
});
afterEach(async () => {
  await deps.readMerger.close();
  vi.restoreAllMocks();
});

async function makeGroup([creator, ...others]: readonly number[]): Promise<number> {
  return (await createGroupRoom({ roomName: "room", userIds: others, callerId: creator! }, deps)).roomId;
}

const invite = (userIds: readonly number[], by = 1, with_: Partial<Deps> = {}) =>
  inviteMembers({ roomId, userIds, callerId: by }, { ...deps, ...with_ });
const kick = (userId: number, with_: Partial<Deps> = {}) =>
  removeMember({ roomId, userId, callerId: 1 }, { ...deps, ...with_ });
const leave = (userId: number, with_: Partial<Deps> = {}) =>
  leaveRoom({ roomId, callerId: userId }, { ...deps, ...with_ });

const published = (): ReceivedEvent[] => bus.hubs.get(MESSAGES)!.partitions[0]!;

/** Stores what has been published since the last time, in one batch. */
async function store(): Promise<void> {
  const events = published().slice(stored);
  stored = published().length;
  await storeMessages({ hub: MESSAGES, partitionId: "0", events }, deps);
}

let events = 0;
/** Publishes and stores a user's message. */
async function say(senderId: number): Promise<void> {
  bus.append(
    MESSAGES,
    "0",
    JSON.stringify({
      v: 1,
      eventId: `event-${++events}`,
      roomId,
      senderId,
      senderNickname: `User ${senderId}`,
      clientMessageId: null,
      type: "TEXT",
      content: "text",
      sentAt: AT,
    }),
    String(roomId),
  );
  await store();
}

/** The room's messages as its creator sees them: `seq type sender targets unread`. */
async function shownTo(userId = 1): Promise<string[]> {
  const { messages } = await listMessages({ roomId, after: 0, callerId: userId, limit: 50 }, deps);
  return messages.map(({ seq, type, senderId, target, targets = target && [target], unreadCount }) =>
    [seq, type, senderId, targets?.map(({ userId }) => userId).join(",") ?? "-", unreadCount].join(" "),
  );
}

async function members(): Promise<number[]> {
  const [rows] = await database.query<RowDataPacket[]>(
    "SELECT user_id FROM room_members WHERE room_id = ? ORDER BY user_id",
    [roomId],
  );
  return rows.map((row) => row["user_id"]);
}

/** Notes an invitation of each of these users, as a process does that dies before it announces any. */
const noteInvitations = (userIds: readonly number[]): Promise<void> =>
  insertChanges(
    database,
    roomId,
    userIds.map((userId) => {
      const target = { userId, nickname: `User ${userId}` };
      return {
        event: {
          v: 1,
          eventId: `invitation-${++events}`,
          roomId,
          senderId: 1,
          senderNickname: "User 1",
          clientMessageId: null,
          type: "SYSTEM_INVITE",
          content: `User 1 invited User ${userId}`,
          sentAt: AT,
          target,
          targets: [target],
        },
      };
    }),
  );

async function pending(): Promise<number> {
  const [rows] = await database.query<RowDataPacket[]>("SELECT COUNT(*) AS pending FROM membership_outbox");
  return rows[0]?.["pending"];
}

/** As if the changes had been made a while ago. */
const age = async (): Promise<unknown> =>
  database.query("UPDATE membership_outbox SET created_at = created_at - INTERVAL 1 MINUTE");

/** SUBSCRIBE of a connection, which the fake broadcaster knows by its user: `7-phone`. */
async function subscribe(
  connectionId: string,
  destination: string,
  id = "sub-0",
  headers = "",
  with_: Partial<Deps> = {},
): Promise<string> {
  const { text } = await handleMessage(
    {
      data: Buffer.from(`SUBSCRIBE\nid:${id}\ndestination:${destination}\nreceipt:r\n${headers}\n\0`),
      eventId: `subscribe-${++events}`,
    },
    {
      connectionId,
      userId: Number(connectionId.split("-")[0]),
      state: { version: "1.2", expiresAt: Date.now() / 1_000 + 600, subscriptions: new Map() },
    },
    { ...deps, ...with_ },
  );
  return text ?? "refused";
}
const room = (): string => `/sub/chat/room/${roomId}`;
/** What a connection has been sent of a room's messages and reads. */
const receivedBy = (connectionId: string): string[] =>
  (broadcaster.received.get(connectionId) ?? []).filter((text) => text.startsWith("MESSAGE"));
const groupsOf = (connectionId: string): string[] =>
  [...broadcaster.groups].filter(([, connections]) => connections.has(connectionId)).map(([group]) => group);

describe("while the bus is away, a change of members", () => {
  test.each<[string, () => Promise<unknown>, number[], string[]]>([
    ["an invitation", () => invite([7, 8]), [1, 2, 3, 7, 8], ["1 SYSTEM_INVITE 1 7,8 0"]],
    ["a removal", () => kick(3), [1, 2], ["1 SYSTEM_KICK 1 3 0"]],
    ["a leave", () => leave(3), [1, 2], ["1 SYSTEM_LEAVE 3 3 0"]],
  ])(
    "%s, succeeds; the sweep announces it once when the bus is back",
    async (_what, change, left, messages) => {
      bus.away = true;
      await change();
      expect(await members()).toEqual(left);
      expect(await pending()).toBeGreaterThan(0);
      await age();
      await sweepChanges(deps);
      expect(await pending()).toBeGreaterThan(0);
      bus.away = false;
      expect(published()).toEqual([]);
      await sweepChanges(deps);
      expect(await pending()).toBe(0);
      await sweepChanges(deps);
      await store();
      expect(await shownTo()).toEqual(messages);
    },
  );

  test("waits for the sweep a few seconds, for whoever made it may be at it", async () => {
    bus.away = true;
    await invite([7]);
    bus.away = false;
    await sweepChanges(deps);
    expect(published()).toEqual([]);
    expect(await pending()).toBe(1);
  });

  test("keeps its place among others, made by whomever", async () => {
    bus.away = true;
    await invite([7, 8]);
    await kick(7);
    await leave(2);
    await invite([7], 3);
    await leave(8);
    bus.away = false;
    await age();
    await sweepChanges(deps);
    await store();
    expect((await shownTo()).map((line) => line.split(" ").slice(1, 4).join(" "))).toEqual([
      "SYSTEM_INVITE 1 7,8",
      "SYSTEM_KICK 1 7",
      "SYSTEM_LEAVE 2 2",
      "SYSTEM_INVITE 3 7",
      "SYSTEM_LEAVE 8 8",
    ]);
  });

  test("is announced by the room's next change, which comes after it", async () => {
    bus.away = true;
    await invite([7]);
    bus.away = false;
    await invite([8]);
    expect(await pending()).toBe(0);
    await store();
    expect(await shownTo()).toEqual(["1 SYSTEM_INVITE 1 7 0", "2 SYSTEM_INVITE 1 8 0"]);
  });

  test("of one room does not wait for another room's", async () => {
    const first = roomId;
    bus.away = true;
    await invite([7]);
    roomId = await makeGroup([1, 2]);
    await invite([8]);
    bus.away = false;
    await age();
    const refusing = changed<EventBus>(bus, {
      publishAll: async (hub, key, list) => {
        if (key === String(first)) throw new Error("this one fails");
        await bus.publishAll(hub, key, list);
      },
    });
    await sweepChanges({ ...deps, bus: refusing });
    expect(await pending()).toBe(1);
    await store();
    expect(await shownTo()).toEqual(["1 SYSTEM_INVITE 1 8 0"]);
  });

  /** How many events were published together, each time. */
  const countingBus = (sizes: number[]): EventBus =>
    changed<EventBus>(bus, {
      publishAll: async (hub, key, list) => {
        sizes.push(list.length);
        await bus.publishAll(hub, key, list);
      },
    });
  const announced = (): number[] =>
    published().map(({ body }) => JSON.parse(Buffer.from(body).toString()).target.userId);

  test("and more of them than are published at once are announced, all in order", async () => {
    const newcomers = Array.from({ length: 450 }, (_, index) => 1_000 + index);
    await noteInvitations(newcomers);
    const sizes: number[] = [];
    await age();
    await sweepChanges({ ...deps, bus: countingBus(sizes) });
    expect(sizes).toEqual([200, 200, 50]);
    await store();
    expect(announced()).toEqual(newcomers);
    expect(await pending()).toBe(0);
  });

  test("of 500 with the longest nicknames at a time fits everywhere, and few of them are published at once", async () => {
    const nickname = "🧑".repeat(100);
    const newcomers = Array.from({ length: 1_500 }, (_, index) => 20_000 + index);
    await database.query("INSERT INTO users (user_id, nickname, updated_at) VALUES ?", [
      newcomers.map((userId) => [userId, nickname, new Date()]),
    ]);
    bus.away = true;
    for (const first of [0, 500, 1_000]) await invite(newcomers.slice(first, first + 500));
    bus.away = false;
    const sizes: number[] = [];
    await subscribe("1-phone", room());
    await age();
    await sweepChanges({ ...deps, bus: countingBus(sizes) });
    // A quarter of a megabyte each.
    expect(sizes).toEqual([2, 1]);
    await store();
    expect(bus.hubs.get("chat-messages-dlt")!.partitions[0]).toEqual([]);
    const lists = newcomers.map((userId) => ({ userId, nickname }));
    const { messages } = await listMessages({ roomId, after: 0, callerId: 1, limit: 50 }, deps);
    expect(messages.map(({ targets }) => targets)).toEqual([
      lists.slice(0, 500),
      lists.slice(500, 1_000),
      lists.slice(1_000),
    ]);
    expect(messages[0]!.target).toEqual(lists[0]);
    expect(messages[0]!.content).toBe(`User 1 invited ${nickname}, ${nickname}, ${nickname} and 497 others`);
    const texts = receivedBy("1-phone");
    expect(texts.join("").split("\0").slice(0, -1)).toHaveLength(3);
    for (const text of texts) expect(Buffer.byteLength(text)).toBeLessThan(1024 * 1024);
    const [last] = (await listRooms({ limit: 1, callerId: 1 }, deps)).rooms;
    expect(last!.lastMessage).toMatchObject({ type: "SYSTEM_INVITE", target: lists[1_000] });
    expect(last!.lastMessage!.targets).toEqual(lists.slice(1_000, 1_003));
  });
});

describe("a process that dies while it announces", () => {
  /** A database that loses its connection when the outbox's rows are to be deleted. */
  const dying = (): Database =>
    changed(database, {
      async getConnection() {
        const connection = await database.getConnection();
        return changed(connection, {
          query: (async (options: { sql: string }) => {
            if (options.sql.startsWith("DELETE FROM membership_outbox"))
              throw new Error("the process has died");
            return connection.query(options as never);
          }) as never,
        });
      },
    });

  test("after publishing: what the sweep publishes again is stored once", async () => {
    await invite([7, 8], 1, { database: dying() });
    // It tried several times.
    const before = published().length;
    expect(before).toBeGreaterThanOrEqual(2);
    await store();
    await age();
    await sweepChanges(deps);
    expect(published()).toHaveLength(before + 1);
    await store();
    expect(await shownTo()).toEqual(["1 SYSTEM_INVITE 1 7,8 0"]);
    expect(await pending()).toBe(0);
  });

  test("in the middle of a change's consequences: the removal from the groups is made good, then announced", async () => {
    await subscribe("3-phone", room());
    const dead = changed<Broadcaster>(broadcaster, {
      removeUserFromGroups: () => Promise.reject(new Error("the process has died")),
    });
    await kick(3, { broadcaster: dead });
    expect(groupsOf("3-phone")).toHaveLength(1);
    expect(published()).toEqual([]);
    await age();
    await sweepChanges(deps);
    expect(groupsOf("3-phone")).toEqual([]);
    await store();
    expect(await shownTo()).toEqual(["1 SYSTEM_KICK 1 3 0"]);
    expect(receivedBy("3-phone")).toEqual([]);
  });

  test("before it commits: nothing has happened", async () => {
    const broken = changed(database, {
      async getConnection() {
        const connection = await database.getConnection();
        return changed(connection, {
          query: (async (options: { sql: string }) => {
            if (options.sql === "COMMIT") connection.destroy();
            return connection.query(options as never);
          }) as never,
        });
      },
    });
    await expect(kick(3, { database: broken })).rejects.toThrow();
    expect(await members()).toEqual([1, 2, 3]);
    expect(await pending()).toBe(0);
    expect(published()).toEqual([]);
  });
});

test("what two announce at once is stored once, in its order", async () => {
  for (let round = 0; round < 10; round += 1) {
    bus.away = true;
    const newcomers = [100, 101, 102].map((userId) => userId + round * 10);
    await invite(newcomers);
    await kick(newcomers[0]!);
    bus.away = false;
    await Promise.all([
      finishChanges(roomId, deps),
      finishChanges(roomId, deps),
      finishChanges(roomId, deps),
    ]);
    expect(await pending()).toBe(0);
    const before = (await shownTo()).length;
    await store();
    expect((await shownTo()).slice(before).map((line) => line.split(" ").slice(1, 4).join(" "))).toEqual([
      `SYSTEM_INVITE 1 ${newcomers.join(",")}`,
      `SYSTEM_KICK 1 ${newcomers[0]}`,
    ]);
  }
});

describe("a removal", () => {
  test("takes every session of the user out of every group of the room, and nobody else, before it is answered", async () => {
    for (const connection of ["3-phone", "3-laptop", "3-tablet", "2-phone", "33-phone"]) {
      if (connection.startsWith("33")) await invite([33]);
      await subscribe(connection, room(), connection === "3-laptop" ? "own\\cid" : "sub-0");
      await subscribe(connection, `${room()}/read`, "sub-1");
    }
    const other = await makeGroup([1, 3]);
    await subscribe("3-phone", `/sub/chat/room/${other}`, "sub-2");
    await kick(3);
    expect(groupsOf("3-phone")).toEqual([`r${other}:sub-2`]);
    expect(groupsOf("3-laptop")).toEqual([]);
    expect(groupsOf("3-tablet")).toEqual([]);
    expect(groupsOf("2-phone")).toHaveLength(2);
    expect(groupsOf("33-phone")).toHaveLength(2);
    await store();
    await say(1);
    for (const connection of ["3-phone", "3-laptop", "3-tablet"]) expect(receivedBy(connection)).toEqual([]);
    expect(receivedBy("2-phone")).not.toEqual([]);
  });

  test("while the socket service is away succeeds; nobody is told before the sessions have stopped receiving", async () => {
    await subscribe("3-phone", room());
    await subscribe("2-phone", room());
    broadcaster.away = true;
    await kick(3);
    expect(await members()).toEqual([1, 2]);
    await age();
    await sweepChanges(deps);
    expect(published()).toEqual([]);
    broadcaster.away = false;
    await sweepChanges(deps);
    expect(groupsOf("3-phone")).toEqual([]);
    await store();
    expect(receivedBy("3-phone")).toEqual([]);
    expect(receivedBy("2-phone")).toHaveLength(1);
    expect(await pending()).toBe(0);
  });

  test("of who is invited again before the sweep leaves the groups as they are", async () => {
    await subscribe("3-phone", room());
    broadcaster.away = true;
    await kick(3);
    broadcaster.away = false;
    bus.away = true;
    await invite([3]);
    bus.away = false;
    await subscribe("3-phone", room());
    await age();
    await sweepChanges(deps);
    expect(groupsOf("3-phone")).toHaveLength(1);
    await store();
    await say(1);
    expect(receivedBy("3-phone").join("")).toContain('"content":"text"');
    expect((await shownTo()).map((line) => line.split(" ").slice(1, 4).join(" "))).toEqual([
      "SYSTEM_KICK 1 3",
      "SYSTEM_INVITE 1 3",
      "TEXT 1 -",
    ]);
  });

  test("that a dead process did not tell the cache keeps no new member out, and no stranger in", async () => {
    await sessions.putMembers(roomId, [1], await sessions.membersVersion(roomId));
    await requireMember(roomId, 2, deps);
    expect(await sessions.isMember(roomId, 2)).toBeUndefined();
    await sessions.putMembers(roomId, [1], await sessions.membersVersion(roomId));
    await expect(requireMember(roomId, 9, deps)).rejects.toMatchObject({ code: "NOT_A_MEMBER" });
  });

  test("makes the cache forget its members before it is answered", async () => {
    await sessions.putMembers(roomId, [1, 2, 3], await sessions.membersVersion(roomId));
    await kick(3);
    expect(await sessions.isMember(roomId, 3)).not.toBe(true);
  });

  test("is not held up by another room's", async () => {
    const connection = await database.getConnection();
    try {
      await connection.query("START TRANSACTION");
      await connection.query("SELECT * FROM rooms WHERE room_id = ? FOR UPDATE", [await makeGroup([1, 2])]);
      await kick(3);
    } finally {
      await connection.query("ROLLBACK");
      connection.release();
    }
  });
});

describe("a SUBSCRIBE at the same moment as a removal", () => {
  /** Something that has happened, or not yet. */
  interface Noticed {
    happened: boolean;
  }

  /** Waits for a while that is long for what is free to go on. */
  const aWhile = (noticed: Noticed): Promise<void> =>
    until(() => noticed.happened, "it goes on", 500).catch(() => {});

  /**
   * Begins to remove user 3 just before their connection joins a group, and has someone write just after
   * that. If the removal was answered by then, that message was sent after it.
   */
  async function race(headers: string): Promise<{ late: boolean; received: string[] }> {
    const removed: Noticed = { happened: false };
    let removal: Promise<unknown> = Promise.resolve();
    let late = false;
    const racing = changed<Broadcaster>(broadcaster, {
      async joinGroup(connectionId, group) {
        removal = kick(3).then(() => {
          removed.happened = true;
        });
        await aWhile(removed);
        await broadcaster.joinGroup(connectionId, group);
        late = removed.happened;
        if (late) await say(1);
      },
    });
    await subscribe("3-phone", room(), "sub-0", headers, { broadcaster: racing });
    await removal;
    await say(1);
    return { late, received: receivedBy("3-phone") };
  }

  test.each([
    ["a SUBSCRIBE", ""],
    ["a SUBSCRIBE that asks for what was missed", "last-seq:0\n"],
  ])("%s ends without a subscription, and nothing sent after the answer arrives", async (_what, headers) => {
    await subscribe("2-phone", room());
    await say(1);
    const before = receivedBy("3-phone").length;
    const { late, received } = await race(headers);
    expect(groupsOf("3-phone")).toEqual([]);
    // 2 is the removal's announcement, which comes after the sessions have stopped receiving.
    const sentAfter =
      received
        .slice(before)
        .join("")
        .match(/"seq":[2-9]/g) ?? [];
    expect({ late, sentAfter }).toEqual({ late, sentAfter: [] });
  });

  test("that asks for what was missed gets nothing of what was sent after the removal was answered, nor from before it joined", async () => {
    await say(1);
    await invite([7]);
    await store();
    await say(1);
    // The last moment at which a removal is not seen: user 7 has been found to be a member.
    const removed = changed(sessions, {
      async isMember() {
        await kick(7);
        await store();
        await say(1);
        return true;
      },
    });
    await subscribe("7-phone", room(), "sub-0", "last-seq:0\n", { ...portsOf(removed) });
    const received =
      receivedBy("7-phone")
        .join("")
        .match(/"seq":\d+/g) ?? [];
    // 1 is older than the membership; 4 is the removal's announcement, 5 was written after it was answered.
    for (const seq of [1, 4, 5]) expect(received).not.toContain(`"seq":${seq}`);
    expect(groupsOf("7-phone")).toEqual([]);
  });
});

describe("the announcement of who leaves", () => {
  test("is stored although they are no member, and it counts as unread for nobody", async () => {
    await say(1);
    await leave(3);
    await store();
    expect(await shownTo()).toEqual(["1 TEXT 1 - 1", "2 SYSTEM_LEAVE 3 3 0"]);
    expect(bus.hubs.get("chat-messages-dlt")!.partitions[0]).toEqual([]);
  });

  test("has no count in its frame, either", async () => {
    await subscribe("2-phone", room());
    await leave(3);
    await store();
    const [frame] = receivedBy("2-phone");
    expect(JSON.parse(frame!.slice(frame!.indexOf("\n\n") + 2, -1))).toMatchObject({
      type: "SYSTEM_LEAVE",
      seq: 1,
      unreadCount: 0,
      target: { userId: 3 },
    });
  });

  test("is stored in a room that nobody is left in", async () => {
    for (const userId of [1, 2, 3]) await leave(userId);
    await store();
    const [rows] = await database.query<RowDataPacket[]>(
      "SELECT sender_id FROM messages WHERE room_id = ? ORDER BY seq",
      [roomId],
    );
    expect(rows.map((row) => row["sender_id"])).toEqual([1, 2, 3]);
  });

  test("does not let them send anything else", async () => {
    await leave(3);
    await say(3);
    expect(await shownTo()).toEqual(["1 SYSTEM_LEAVE 3 3 0"]);
    expect(bus.hubs.get("chat-messages-dlt")!.partitions[0]).toHaveLength(1);
  });

  test("makes a member who comes back by an invitation read nothing they could not see", async () => {
    await leave(3);
    await store();
    await invite([3]);
    await store();
    await say(1);
    // The invitation and what follows; the leave is older than the new membership.
    expect(await shownTo(3)).toEqual(["2 SYSTEM_INVITE 1 3 0", "3 TEXT 1 - 2"]);
  });

  test("is none in a one-to-one room, whose sessions stop receiving all the same", async () => {
    ({ roomId } = await openDirectRoom({ targetUserId: 52, callerId: 51 }, deps));
    await subscribe("51-phone", room());
    await leave(51);
    expect(groupsOf("51-phone")).toEqual([]);
    expect(published()).toEqual([]);
    expect(await pending()).toBe(0);
  });
});

test("a SYSTEM_KICK is read by who caused it, and counts whom it is about no more", async () => {
  await say(2);
  await kick(3);
  await store();
  expect(await shownTo()).toEqual(["1 TEXT 2 - 0", "2 SYSTEM_KICK 1 3 0"]);
});

describe("whose list of rooms has changed", () => {
  const QUEUE = "/user/queue/rooms";
  /** What a connection has heard of this room on the queue. */
  const heardBy = (connectionId: string): string[] =>
    receivedBy(connectionId).flatMap((text) => {
      const { type, roomId: about } = JSON.parse(text.slice(text.indexOf("\n\n") + 2, -1));
      return about === roomId ? [type] : [];
    });

  test("hears it when the sweep has done what was left, once", async () => {
    roomId = await makeGroup([1, 903]);
    await subscribe("903-phone", QUEUE);
    await subscribe("907-phone", QUEUE, "own");
    bus.away = true;
    await kick(903);
    await invite([907]);
    expect([heardBy("903-phone"), heardBy("907-phone")]).toEqual([[], []]);
    bus.away = false;
    await age();
    await sweepChanges(deps);
    await sweepChanges(deps);
    expect([heardBy("903-phone"), heardBy("907-phone")]).toEqual([["ROOM_REMOVED"], ["ROOM_ADDED"]]);
  });

  test("hears of a removal after it has been taken out of the room's groups", async () => {
    roomId = await makeGroup([1, 913]);
    await subscribe("913-phone", QUEUE, "queue");
    await subscribe("913-phone", room(), "room");
    const groups: string[][] = [];
    const noting = changed<Broadcaster>(broadcaster, {
      async sendToGroup(group, text) {
        groups.push(groupsOf("913-phone"));
        await broadcaster.sendToGroup(group, text);
      },
    });
    await kick(913, { broadcaster: noting });
    expect(groups).toEqual([["q913:queue"]]);
    expect(heardBy("913-phone")).toEqual(["ROOM_REMOVED"]);
  });

  test("is not told of a removal that an invitation has undone before it was done", async () => {
    roomId = await makeGroup([1, 923]);
    await subscribe("923-phone", QUEUE);
    bus.away = true;
    await kick(923);
    await invite([923]);
    bus.away = false;
    await age();
    await sweepChanges(deps);
    expect(heardBy("923-phone")).toEqual(["ROOM_ADDED"]);
  });

  test("is told of the last of several changes that are done together", async () => {
    await subscribe("933-phone", QUEUE);
    bus.away = true;
    await invite([933]);
    await kick(933);
    bus.away = false;
    await age();
    await sweepChanges(deps);
    expect(heardBy("933-phone")).toEqual(["ROOM_REMOVED"]);
  });

  test("hears of an invitation with the name that the group has got since, and of no other name", async () => {
    roomId = await makeGroup([1, 937]);
    await subscribe("937-phone", QUEUE);
    await subscribe("938-phone", QUEUE);
    bus.away = true;
    await invite([938]);
    await changeRoom({ roomId, name: "renamed", callerId: 1 }, deps);
    bus.away = false;
    await age();
    await sweepChanges(deps);
    expect([heardBy("937-phone"), heardBy("938-phone")]).toEqual([["ROOM_RENAMED"], ["ROOM_ADDED"]]);
    for (const connection of ["937-phone", "938-phone"])
      expect(receivedBy(connection).at(-1)).toContain('"roomName":"renamed","by":{"userId":1,');
  });

  test("has been told of what was done when the rest fails", async () => {
    const newcomers = Array.from({ length: 250 }, (_, index) => 10_000 + index);
    await subscribe("10000-phone", QUEUE);
    await subscribe("10249-phone", QUEUE);
    await noteInvitations(newcomers);
    let times = 0;
    const failing = changed<EventBus>(bus, {
      publishAll: async (hub, key, list) => {
        if (++times > 1) throw new Error("the bus is away again");
        await bus.publishAll(hub, key, list);
      },
    });
    await age();
    await sweepChanges({ ...deps, bus: failing });
    expect([heardBy("10000-phone"), heardBy("10249-phone")]).toEqual([["ROOM_ADDED"], []]);
    await sweepChanges(deps);
    expect([heardBy("10000-phone"), heardBy("10249-phone")]).toEqual([["ROOM_ADDED"], ["ROOM_ADDED"]]);
  });

  test("costs the change nothing where they can't be told", async () => {
    await subscribe("943-phone", QUEUE);
    const failing = changed<Broadcaster>(broadcaster, {
      sendToGroup: () => Promise.reject(new Error("the service has just gone")),
    });
    expect(await invite([943], 1, { broadcaster: failing })).toEqual({ roomId, invited: [943] });
    expect(await pending()).toBe(0);
    expect(
      await createGroupRoom(
        { roomName: "room", userIds: [943], callerId: 1 },
        { ...deps, broadcaster: failing },
      ),
    ).toEqual({
      roomId: expect.any(Number),
    });
  });

  test("is a member of a one-to-one room for the cache, too, once a message has brought it back", async () => {
    ({ roomId } = await openDirectRoom({ targetUserId: 954, callerId: 953 }, deps));
    await leave(953);
    await sessions.putMembers(roomId, [954], await sessions.membersVersion(roomId));
    await say(954);
    expect(await sessions.isMember(roomId, 953)).toBeUndefined();
    expect(await members()).toEqual([953, 954]);
  });

  test("hears of a one-to-one room that the other one's message brings back; the message waits for nothing where that fails", async () => {
    ({ roomId } = await openDirectRoom({ targetUserId: 952, callerId: 951 }, deps));
    await subscribe("951-phone", QUEUE);
    await subscribe("952-phone", room());
    await leave(951);
    await say(952);
    expect(heardBy("951-phone")).toEqual(["ROOM_REMOVED", "ROOM_ADDED"]);
    await leave(951);
    const { sendToGroup } = FakeBroadcaster.prototype;
    broadcaster.sendToGroup = async (group, text) => {
      if (group.startsWith("q")) throw new Error("refused");
      await sendToGroup.call(broadcaster, group, text);
    };
    await say(952);
    expect(receivedBy("952-phone")).toHaveLength(2);
    expect(heardBy("951-phone")).toEqual(["ROOM_REMOVED", "ROOM_ADDED", "ROOM_REMOVED"]);
    expect(await members()).toEqual([951, 952]);
  });
});
