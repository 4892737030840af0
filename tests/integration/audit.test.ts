import { Redis } from "ioredis";
import type { RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type AreaName, areasOf } from "../../shared/audit/audit.js";
import type { Told } from "../../shared/audit/auditArea.js";
import { nightlyAudit } from "../../shared/audit/nightly.js";
import { roomsArea } from "../../shared/audit/rooms.js";
import { groupName } from "../../shared/fanout/groups.js";
import { inspectRedis, type RedisInspection } from "../../shared/redis/inspection.js";
import type { RedisStore } from "../../shared/redis/ports.js";
import { connectRedis } from "../../shared/redis/redis.js";
import type { Database } from "../../shared/store/database.js";
import { addSubscriptionId } from "../../shared/store/subscriptionIds.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { newDatabase } from "../support/database.js";
import { type RedisServer, startRedisServer } from "../support/redisServer.js";

const ROOM = 5;
const AWAITED = "9007199254740991";
const [ANN, BEN, EVE, DAN] = [1, 2, 3, 1_001] as const;
/** Long enough for two looks; nothing is under way here. */
const HOW = { repairs: false, pauses: [1, 1], isOver: () => false };

let database: Database;
let closeDatabase: () => Promise<void>;
let server: RedisServer;
let redis: Redis;
let store: RedisStore;
let inspection: RedisInspection;
let broadcaster: FakeBroadcaster;

beforeAll(async () => {
  ({ database, close: closeDatabase } = await newDatabase());
  server = await startRedisServer();
  redis = new Redis(server.url);
  const config = { urls: [server.url], cluster: false };
  store = connectRedis(config);
  inspection = await inspectRedis(config);
});
afterAll(async () => {
  inspection.close();
  await store.close();
  redis.disconnect();
  await server.close();
  await closeDatabase();
});

const sql = (statement: string, values: unknown[] = []) => database.query(statement, values);

/** A group of three, and a user who has never been here, with twelve messages: each third is a system message. */
beforeEach(async () => {
  broadcaster = new FakeBroadcaster();
  await redis.flushall();
  for (const table of [
    "rooms",
    "room_members",
    "messages",
    "hidden_messages",
    "subscription_ids",
    "membership_outbox",
    "read_outbox",
    "idempotency_keys",
  ])
    await sql(`DELETE FROM ${table}`);
  await sql(
    `INSERT INTO rooms (room_id, type, creator_id, member_count, awaited_count, last_seq, last_message_id,
                        last_uncounted, last_activity_at, created_at)
     VALUES (?, 'GROUP', 1, 4, 1, 12, 112, 4, '2026-01-01 00:00:12', '2026-01-01 00:00:00')`,
    [ROOM],
  );
  const messages = Array.from({ length: 12 }, (_, index) => index + 1).map((seq) => [
    100 + seq,
    ROOM,
    seq,
    Math.floor(seq / 3),
    ANN,
    "Ann",
    Buffer.from(String(seq).padStart(16)),
    seq % 3 === 0 ? "SYSTEM_RENAME" : "TEXT",
    "text",
    `2026-01-01 00:00:${String(seq).padStart(2, "0")}`,
  ]);
  await sql(
    `INSERT INTO messages (message_id, room_id, seq, uncounted, sender_id, sender_nickname, dedupe_key, type,
                           content, sent_at) VALUES ?`,
    [messages],
  );
  await sql("INSERT IGNORE INTO users (user_id, updated_at, presence) VALUES (?, NOW(), 'AWAITED')", [DAN]);
  const member = (
    userId: number,
    joined: number,
    seq: number | string,
    id: number | null,
    rest: number[],
  ) => [ROOM, userId, new Date(), joined, seq, id, ...rest];
  await sql(
    `INSERT INTO room_members (room_id, user_id, joined_at, joined_seq, last_read_seq, last_read_message_id,
                               last_read_uncounted, hidden_unread) VALUES ?`,
    [
      [
        member(ANN, 0, 12, 112, [4, 0]),
        member(BEN, 0, 6, 106, [2, 1]),
        member(EVE, 9, 9, 109, [3, 0]),
        member(DAN, 9, AWAITED, null, [0, 0]),
      ],
    ],
  );
  // The last of these is a system message, and does not count.
  await sql("INSERT INTO hidden_messages (room_id, user_id, seq) VALUES (5, 2, 4), (5, 2, 7), (5, 2, 9)");
});

/** All areas, or some, as `kind where: expected / found, state`. */
async function audit(repairs = false, only?: readonly AreaName[], roomId?: number): Promise<string[]> {
  const lines: string[] = [];
  const tell = ({ kind, where, expected, found, state }: Told): void => {
    lines.push(`${kind} ${where}: ${expected} / ${found}, ${state}`);
  };
  const deps = { database, members: store, sessions: store, broadcaster, inspection };
  for (const [name, auditOne] of areasOf(deps, roomId))
    if (only === undefined || only.includes(name)) await auditOne({ ...HOW, repairs }, tell);
  return lines;
}

test("what is right has no finding", async () => {
  expect(await audit()).toEqual([]);
});

/** What no repair can know. */
const LOST: readonly (readonly [kind: string, plant: () => Promise<unknown>, said: readonly string[]])[] = [
  [
    "a message that is gone",
    () => sql("DELETE FROM messages WHERE seq IN (2, 7, 8)"),
    [
      "seq room 5: 1, 2, 3, ... without a hole / no 2, no 7 to 8, differs",
      "hidden_unread room 5, user 2: 0 / 1, mended",
    ],
  ],
  [
    "a message before the first",
    () => sql("UPDATE messages SET seq = 0 WHERE seq = 1"),
    ["seq room 5: 1, 2, 3, ... without a hole / a message 0, no 1, differs"],
  ],
  [
    "changes of members that nobody finishes",
    () =>
      sql(
        "INSERT INTO membership_outbox (room_id, created_at) VALUES (5, UTC_TIMESTAMP() - INTERVAL 61 SECOND), (5, UTC_TIMESTAMP())",
      ),
    ["membership_outbox room 5: empty / 1 waiting, the oldest for N s, differs"],
  ],
  [
    "reads that nobody shows",
    () =>
      sql(
        `INSERT INTO read_outbox (room_id, user_id, previous_seq, last_seq, last_message_id, read_at, taken_at)
         VALUES (5, 1, 1, 2, 102, UTC_TIMESTAMP(), UTC_TIMESTAMP() - INTERVAL 200 SECOND)`,
      ),
    ["read_outbox room 5: empty / 1 waiting, the oldest for N s, differs"],
  ],
  [
    "answers that nobody deletes",
    () =>
      sql(
        "INSERT INTO idempotency_keys VALUES (1, '1234567890123456', '1234567890123456', '{}', UTC_TIMESTAMP() - INTERVAL 26 HOUR)",
      ),
    ["idempotency_keys all: empty / 1 waiting, the oldest for N s, differs"],
  ],
  [
    "users whom nobody looks after",
    () => redis.zadd("{sessions}:left", Date.now() - 61_000, 1, Date.now(), 2),
    ["unfinished_users all: empty / 1 waiting, the oldest for N s, differs"],
  ],
];

const connection = (userId: number, connectionId: string) => ({ userId, connectionId });
const REGISTERING = { limit: 3, whichAreGone: async () => [] };

/** Each difference alone: how it is made, and what the audit says of it. */
const PLANTED: readonly (readonly [kind: string, plant: () => Promise<unknown>, said: readonly string[]])[] =
  [
    ["a last seq that is too low", () => sql("UPDATE rooms SET last_seq = 11"), ["last_seq room 5: 12 / 11"]],
    [
      "a last seq that is too high, and a member who stands there",
      () =>
        sql(
          `UPDATE rooms r JOIN room_members m ON m.room_id = r.room_id AND m.user_id = 1
            SET r.last_seq = 14, m.last_read_seq = 14, m.joined_seq = 13`,
        ),
      ["last_seq room 5: 12 / 14", "joined_seq room 5, user 1: 0 to 12 / 13"],
    ],
    [
      "another last message",
      () => sql("UPDATE rooms SET last_message_id = 111"),
      [
        "last_message room 5: message 112, 4 system messages, 2026-01-01T00:00:12.000Z / message 111, 4 system messages, 2026-01-01T00:00:12.000Z",
      ],
    ],
    [
      "another time of the last message",
      () => sql("UPDATE rooms SET last_activity_at = '2026-01-01 00:00:11'"),
      [
        "last_message room 5: message 112, 4 system messages, 2026-01-01T00:00:12.000Z / message 112, 4 system messages, 2026-01-01T00:00:11.000Z",
      ],
    ],
    [
      "system messages that are numbered wrongly",
      () => sql("UPDATE messages SET uncounted = uncounted + 1 WHERE seq = 7"),
      ["uncounted room 5, messages 1 to 12: 0 system messages before them / 0 to 1"],
    ],
    ["a number of members", () => sql("UPDATE rooms SET member_count = 3"), ["member_count room 5: 4 / 3"]],
    [
      "a number of awaited members",
      () => sql("UPDATE rooms SET awaited_count = 2"),
      ["awaited_count room 5: 1 / 2"],
    ],
    [
      "a position beyond the last message",
      () => sql("UPDATE room_members SET last_read_seq = 13 WHERE user_id = 2"),
      [
        "read_position room 5, user 2: seq 0 to 12 / seq 13, message 106, 2 system messages",
        "hidden_unread room 5, user 2: 0 / 1",
      ],
    ],
    [
      "a position before what a member may see",
      () =>
        sql(
          "UPDATE room_members SET last_read_seq = 8, last_read_message_id = 108, last_read_uncounted = 2 WHERE user_id = 3",
        ),
      ["read_position room 5, user 3: seq 9 to 12 / seq 8, message 108, 2 system messages"],
    ],
    [
      "a position with another message",
      () => sql("UPDATE room_members SET last_read_message_id = 105 WHERE user_id = 2"),
      [
        "read_position room 5, user 2: seq 6, message 106, 2 system messages / seq 6, message 105, 2 system messages",
      ],
    ],
    [
      "a position with another number of system messages",
      () => sql("UPDATE room_members SET last_read_uncounted = 1 WHERE user_id = 2"),
      [
        "read_position room 5, user 2: seq 6, message 106, 2 system messages / seq 6, message 106, 1 system messages",
      ],
    ],
    [
      "a member without a position who has been here",
      () =>
        sql(
          `UPDATE room_members SET last_read_seq = ${AWAITED}, last_read_message_id = NULL, last_read_uncounted = 0 WHERE user_id = 3`,
        ),
      [
        "awaited_count room 5: 2 / 1",
        "read_position room 5, user 3: none, and a user who has never been here / none, message none, 0 system messages",
      ],
    ],
    [
      "another number of deleted unread messages",
      () => sql("UPDATE room_members SET hidden_unread = 4 WHERE user_id = 2"),
      ["hidden_unread room 5, user 2: 1 / 4"],
    ],
    [
      "a deleted unread message of who has never been here",
      () => sql(`UPDATE room_members SET hidden_unread = 1 WHERE user_id = ${DAN}`),
      ["hidden_unread room 5, user 1001: 0 / 1"],
    ],
    [
      "members that are cached wrongly",
      () => redis.sadd("{room:5}:members", ANN, BEN, EVE, 77),
      [
        "cached_members room 5, user 77: no member / cached as a member",
        "cached_members room 5, user 1001: a member / not cached",
      ],
    ],
    [
      "an id that nobody holds",
      async () => {
        await addSubscriptionId(database, "r5", "sub-0", true);
        await addSubscriptionId(database, "r5", "sub-0");
        await broadcaster.joinGroup("1", groupName("r5", "sub-0"));
      },
      ["subscription_id r5 (packed), id sub-0: a subscriber / none"],
    ],
    [
      "a session without a connection",
      async () => {
        await store.register(connection(ANN, "1-alive"), REGISTERING);
        await store.register(connection(ANN, "1-dead"), REGISTERING);
        broadcaster.connections.add("1-alive");
      },
      ["session user 1, connection 1-dead: a connection / none"],
    ],
    [
      "an evicted connection that nobody has forgotten",
      async () => {
        await redis.zadd("{user:2}:closing", Date.now() - 70_000, "2-gone");
        await redis.hset("{user:2}:details", "2-gone", "SESSION_LIMIT ");
      },
      ["closing_session user 2, connection 2-gone: closed and forgotten / gone, and not forgotten"],
    ],
  ];

describe.each(PLANTED)("%s", (_, plant, said) => {
  test("is named, mended, and gone", async () => {
    await plant();
    expect(await audit()).toEqual(said.map((line) => `${line}, differs`));
    expect(await audit(true)).toEqual(said.map((line) => `${line}, mended`));
    expect(await audit()).toEqual([]);
  });
});

test.each(LOST)("%s: named, and not made up", async (_, plant, said) => {
  await plant();
  expect((await audit(true)).map(withoutSeconds)).toEqual(said);
  expect((await audit()).map(withoutSeconds)).toEqual(said.filter((line) => line.endsWith("differs")));
});

/** They go on while the test runs. */
const withoutSeconds = (line: string): string => line.replace(/\d+ s or more/, "N s");

/** The same database, where something happens after the first statement that has this text in it. */
function interrupted(text: string, happens: () => Promise<unknown>): Database {
  let isDue = true;
  return {
    ...database,
    async getConnection(fresh) {
      const connection = await database.getConnection(fresh);
      const query = connection.query.bind(connection);
      return Object.assign(connection, {
        query: async (statement: { readonly sql: string }) => {
          const answer = await query(statement);
          if (isDue && statement.sql.includes(text)) {
            isDue = false;
            await happens();
          }
          return answer;
        },
      });
    },
  };
}

test("a room is judged at one moment, whatever is committed while it is looked at", async () => {
  let commits = 0;
  const joined = async (): Promise<void> => {
    commits += 1;
    await sql(
      `INSERT INTO room_members (room_id, user_id, joined_at, joined_seq, last_read_seq, last_read_message_id,
                                 last_read_uncounted) VALUES (5, 4, NOW(), 12, 12, 112, 4)`,
    );
    await sql("UPDATE rooms SET member_count = member_count + 1");
  };
  const between = interrupted("FROM rooms r LEFT JOIN messages", joined);
  const deps = { database: between, members: store, sessions: store, broadcaster, inspection };
  const found: Told[] = [];
  await areasOf(deps).get("rooms")?.({ ...HOW, pauses: [] }, (told) => found.push(told));
  expect({ commits, found }).toEqual({ commits: 1, found: [] });
});

test("what is gone at the second look is not told", async () => {
  await sql("UPDATE rooms SET member_count = 3");
  const found: Told[] = [];
  const deps = { database, members: store, sessions: store, broadcaster, inspection };
  const auditing = areasOf(deps).get("rooms")?.({ ...HOW, pauses: [1_500] }, (told) => found.push(told));
  await sql("UPDATE rooms SET member_count = 4");
  await auditing;
  expect(found).toEqual([]);
});

test("who is wrong in a room of hundreds is mended, too, and hides no other room", async () => {
  const users = Array.from({ length: 700 }, (_, index) => index + 1);
  for (const roomId of [6, 7]) {
    await sql(
      `INSERT INTO rooms (room_id, type, creator_id, member_count, last_activity_at, created_at)
       VALUES (?, 'GROUP', 1, ?, NOW(), NOW())`,
      [roomId, users.length],
    );
    await sql("INSERT INTO room_members (room_id, user_id, joined_at, last_read_seq) VALUES ?", [
      users.map((userId) => [roomId, userId, new Date(), 3]),
    ]);
  }
  const lines = await audit(true);
  expect(lines.slice(0, 1)).toEqual([
    "read_position room 6, user 1: seq 0 to 0 / seq 3, message none, 0 system messages, mended",
  ]);
  expect(lines.at(-1)).toMatch(/^read_position room 7, user 100: .* mended$/);
  expect(await audit()).toEqual([]);
});

describe("the audit of the night", () => {
  const nightly = (repairs: boolean, now: () => number = Date.now) =>
    nightlyAudit(
      { schedule: "0 30 3 * * *", repairs },
      { redis: { urls: [server.url], cluster: false, entra: false } },
      { database, members: store, sessions: store, broadcaster, now },
    );
  const lastSeq = async (): Promise<unknown> => {
    const [rows] = await database.query<RowDataPacket[]>("SELECT last_seq FROM rooms");
    return rows[0]?.["last_seq"];
  };

  test("mends nothing unless it is told to", async () => {
    await sql("UPDATE rooms SET last_seq = 11");
    await nightly(false).run();
    expect(await lastSeq()).toBe(11);
    await nightly(true).run();
    expect(await lastSeq()).toBe(12);
  });

  test("goes on where it was over, and then from the beginning", async () => {
    await sql("UPDATE rooms SET last_seq = 11");
    // Ten minutes pass between any two looks at the clock.
    let now = 0;
    await nightly(true, () => (now += 600_000)).run();
    expect(await redis.get("{audit}:next:rooms")).toBe("5");
    await sql("UPDATE rooms SET last_seq = 11");
    await nightly(true).run();
    expect([await lastSeq(), await redis.get("{audit}:next:rooms")]).toEqual([11, null]);
    await nightly(true).run();
    expect(await lastSeq()).toBe(12);
  });

  test("may be over between large rooms, of which few are looked at together", async () => {
    for (const roomId of [6, 7, 8])
      await sql(
        `INSERT INTO rooms (room_id, type, creator_id, member_count, last_activity_at, created_at)
         VALUES (?, 'GROUP', 1, 9000, NOW(3), NOW(3))`,
        [roomId],
      );
    const pages: unknown[] = [];
    for await (const page of roomsArea({ database, members: store, inspection }).pages()) pages.push(page);
    expect(pages).toEqual([
      { places: [5, 6, 7], next: "7" },
      { places: [8], next: "8" },
    ]);
  });

  test("fails where Redis can't be asked", async () => {
    const config = { urls: ["redis://127.0.0.1:1"], cluster: false, entra: false };
    const deps = { database, members: store, sessions: store, broadcaster, now: Date.now };
    const audit = nightlyAudit({ schedule: "", repairs: false }, { redis: config }, deps);
    await expect(audit.run()).rejects.toThrow("Redis can't be asked");
  });
});
