import type { RowDataPacket } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { EventBatch } from "../../shared/bus/eventBus.js";
import type { CommandDeps } from "../../shared/commands/command.js";
import { handleMessage } from "../../shared/commands/dispatch.js";
import { catchUp } from "../../shared/consumers/catchUp.js";
import { createLag } from "../../shared/consumers/lag.js";
import { rewind } from "../../shared/consumers/timeline.js";
import type { MessagesDeps } from "../../shared/messages/deps.js";
import { deleteMessage } from "../../shared/messages/hide.js";
import { listMessages } from "../../shared/messages/list.js";
import { storeMessages } from "../../shared/messages/store.js";
import { readRoom } from "../../shared/reads/accept.js";
import { createReadMerger, type ReadMerger } from "../../shared/reads/merge.js";
import { storeReads } from "../../shared/reads/store.js";
import { sweepReads } from "../../shared/reads/sweep.js";
import { portsOf } from "../../shared/redis/ports.js";
import { createArrivals } from "../../shared/rooms/arrivals.js";
import { inviteMembers, leaveRoom, removeMember } from "../../shared/rooms/changeMembers.js";
import { changeRoom } from "../../shared/rooms/changeRoom.js";
import { createGroupRoom, openDirectRoom } from "../../shared/rooms/createRooms.js";
import { sweepChanges } from "../../shared/rooms/finishChanges.js";
import { sweepAnswers } from "../../shared/rooms/idempotency.js";
import { listMembers } from "../../shared/rooms/listMembers.js";
import { listRooms } from "../../shared/rooms/listRooms.js";
import type { RoomDeps } from "../../shared/rooms/roomDeps.js";
import { withdrawUser } from "../../shared/rooms/withdrawUser.js";
import type { Database, Queryable } from "../../shared/store/database.js";
import * as idempotencyKeys from "../../shared/store/idempotencyKeys.js";
import * as members from "../../shared/store/members.js";
import * as membershipOutbox from "../../shared/store/membershipOutbox.js";
import * as messages from "../../shared/store/messages.js";
import * as readOutbox from "../../shared/store/readOutbox.js";
import * as roomLists from "../../shared/store/roomLists.js";
import * as rooms from "../../shared/store/rooms.js";
import * as streamPositions from "../../shared/store/streamPositions.js";
import * as subscriptionIds from "../../shared/store/subscriptionIds.js";
import * as unshown from "../../shared/store/unshown.js";
import * as users from "../../shared/store/users.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { changed } from "../fakes/changed.js";
import { FakeEventBus } from "../fakes/eventBus.js";
import { UNLIMITED } from "../fakes/limits.js";
import { FakeSessionStore } from "../fakes/sessionStore.js";
import { newDatabase } from "../support/database.js";

type StoreDeps = MessagesDeps & { readonly readMerger: ReadMerger };

// What the store does stays as it is; that it was asked is noticed, so that no statement is forgotten here.
vi.mock("../../shared/store/idempotencyKeys.js", { spy: true });
vi.mock("../../shared/store/members.js", { spy: true });
vi.mock("../../shared/store/membershipOutbox.js", { spy: true });
vi.mock("../../shared/store/messages.js", { spy: true });
vi.mock("../../shared/store/readOutbox.js", { spy: true });
vi.mock("../../shared/store/roomLists.js", { spy: true });
vi.mock("../../shared/store/rooms.js", { spy: true });
vi.mock("../../shared/store/streamPositions.js", { spy: true });
vi.mock("../../shared/store/subscriptionIds.js", { spy: true });
vi.mock("../../shared/store/unshown.js", { spy: true });
vi.mock("../../shared/store/users.js", { spy: true });

const READS = "chat-read-events";
const MESSAGES = "chat-messages";
const AT = "2026-02-02T03:04:05.678Z";

/** Tables of which no statement may read every row, or every entry of an index. */
const LARGE = new Set([
  "messages",
  "room_members",
  "rooms",
  "users",
  "hidden_messages",
  "subscription_ids",
  "idempotency_keys",
]);

/** Rooms 1 to 20,000 of three users each, of which the last 5,000 are one-to-one, with nine messages each. */
const ROOMS = 20_000;
const DIRECT_FROM = 15_001;
const USERS = 20_000;
/** A room with 5,000 members, users 1 to 5,000, and 20,000 messages. User 1 is in 1,000 rooms more. */
const BIG = 20_001;

let database: Database;
let closeDatabase: () => Promise<void>;

beforeAll(async () => {
  ({ database, close: closeDatabase } = await newDatabase(0));
  await load(database);
});
afterAll(() => closeDatabase());

async function load(db: Queryable): Promise<void> {
  const run = (sql: string): Promise<unknown> => db.query(sql);
  await run("CREATE TABLE numbers (n INT UNSIGNED PRIMARY KEY)");
  const digits = (name: string): string =>
    `(${Array.from({ length: 10 }, (_, d) => `SELECT ${d} AS d`).join(" UNION ALL ")}) ${name}`;
  await run(`INSERT INTO numbers SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d
    FROM ${digits("a")}, ${digits("b")}, ${digits("c")}, ${digits("d")}, (SELECT 0 AS d UNION ALL SELECT 1) e`);
  await run(
    `INSERT INTO users (user_id, nickname, profile_image_url, updated_at) SELECT n, CONCAT('User ', n), NULL, NOW(3) FROM numbers WHERE n <= ${USERS}`,
  );
  await run(`INSERT INTO rooms (room_id, type, name, creator_id, pair_key, member_count, last_seq, last_activity_at, created_at)
    SELECT n, IF(n < ${DIRECT_FROM}, 'GROUP', 'ONE_TO_ONE'), IF(n < ${DIRECT_FROM}, 'room', NULL), n,
           IF(n < ${DIRECT_FROM}, NULL, CONCAT(n - 10000, ':', n)), IF(n < ${DIRECT_FROM}, 3, 2), 9,
           '2026-01-01' + INTERVAL n SECOND, '2026-01-01' FROM numbers WHERE n <= ${ROOMS}`);
  await run(`INSERT INTO rooms (room_id, type, name, creator_id, member_count, last_seq, last_activity_at, created_at)
    VALUES (${BIG}, 'GROUP', 'big', 1, 5000, 20000, '2026-01-02', '2026-01-01')`);
  // The creator, and of a group the two users after them.
  await run(`INSERT INTO room_members (room_id, user_id, joined_at, last_read_seq)
    SELECT n, n, '2026-01-01', n % 10 FROM numbers WHERE n <= ${ROOMS}`);
  for (const next of [1, 2])
    await run(`INSERT INTO room_members (room_id, user_id, joined_at, last_read_seq)
      SELECT n, n + ${next}, '2026-01-01', (n + ${next}) % 10 FROM numbers WHERE n < ${DIRECT_FROM}`);
  await run(`INSERT INTO room_members (room_id, user_id, joined_at, last_read_seq)
    SELECT n, n - 10000, '2026-01-01', 3 FROM numbers WHERE n BETWEEN ${DIRECT_FROM} AND ${ROOMS}`);
  await run(`INSERT INTO room_members (room_id, user_id, joined_at, last_read_seq)
    SELECT ${BIG}, n, '2026-01-01', n * 4 FROM numbers WHERE n <= 5000`);
  await run(`INSERT INTO room_members (room_id, user_id, joined_at, last_read_seq)
    SELECT n * 10, 1, '2026-01-01', 3 FROM numbers WHERE n <= 1000`);
  await run("UPDATE rooms SET member_count = 4 WHERE room_id % 10 = 0 AND room_id <= 10000");
  const message = `'User', UNHEX(LEFT(SHA2(CONCAT(r.room_id, ' ', s.n), 256), 32)), 'TEXT', 'a message of some length', '2026-01-01'`;
  const columns = "(room_id, seq, sender_id, sender_nickname, dedupe_key, type, content, sent_at)";
  await run(`INSERT INTO messages ${columns}
    SELECT r.room_id, s.n, r.room_id, ${message} FROM rooms r JOIN numbers s ON s.n <= 9 WHERE r.room_id <= ${ROOMS}`);
  await run(`INSERT INTO messages ${columns}
    SELECT r.room_id, s.n, 1, ${message} FROM rooms r JOIN numbers s WHERE r.room_id = ${BIG}`);
  await run(
    "UPDATE rooms r JOIN messages l ON l.room_id = r.room_id AND l.seq = r.last_seq SET r.last_message_id = l.message_id",
  );
  await run(`INSERT INTO hidden_messages SELECT n, n, 9 FROM numbers WHERE n <= 10000`);
  // User 1 deletes every other message, user 2 a few.
  await run(`INSERT INTO hidden_messages SELECT ${BIG}, 1, n FROM numbers WHERE n % 2 = 0`);
  await run(`INSERT INTO hidden_messages SELECT ${BIG}, 2, n FROM numbers WHERE n % 100 = 0`);
  for (const key of ["r", "rr"])
    await run(
      `INSERT INTO subscription_ids (destination, subscription_id) SELECT CONCAT('${key}', n), 'sub-0' FROM numbers WHERE n <= 10000`,
    );
  await run(`INSERT INTO idempotency_keys SELECT n, UNHEX(LEFT(SHA2(n, 256), 32)), UNHEX(LEFT(SHA2(n, 256), 32)), '{}', UTC_TIMESTAMP(3) - INTERVAL n MINUTE
    FROM numbers WHERE n <= 20000`);
  await run(
    "ANALYZE TABLE messages, room_members, rooms, users, hidden_messages, subscription_ids, idempotency_keys",
  );
}

interface Statement {
  readonly sql: string;
  readonly values: unknown;
}

/** A database that notes every statement, those in transactions too. */
function recording(statements: Statement[]): Database {
  return changed(database, {
    query: ((sql: string, values?: unknown) => {
      statements.push({ sql, values });
      return database.query(sql, values);
    }) as Database["query"],
    async getConnection() {
      const connection = await database.getConnection();
      return changed(connection, {
        query: ((options: Statement) => {
          // In a transaction several come together.
          for (const sql of options.sql.split(";\n")) statements.push({ sql, values: options.values });
          return connection.query(options as never);
        }) as never,
      });
    },
  });
}

interface PlanRow extends RowDataPacket {
  table: string | null;
  type: string | null;
  key: string | null;
  rows: number | null;
}

/** What a plan does that none may: `table: type`, one for each full scan of a large table or index. */
async function fullScans({ sql, values }: Statement): Promise<string[]> {
  const [plan] = await database.query<PlanRow[]>(`EXPLAIN FORMAT=TRADITIONAL ${sql}`, values);
  const tables = tablesOf(sql);
  return plan.flatMap(({ table: alias, type }) => {
    // Nothing is read, or what is read is another part of the plan, which has a row of its own.
    if (alias === null || alias.startsWith("<")) return [];
    const named = tables.get(alias);
    if (!named) throw new Error(`no table is called ${alias} in: ${sql}`);
    const isLarge = [...named].some((table) => LARGE.has(table));
    return isLarge && (type === "ALL" || type === "index") ? [`${[...named].join(" or ")}: ${type}`] : [];
  });
}

/**
 * The tables of a statement, by the names that its plan has for them; parts of it may use one name for
 * several.
 */
function tablesOf(sql: string): ReadonlyMap<string, ReadonlySet<string>> {
  const keyword =
    "(?:WHERE|FORCE|ON|SET|LEFT|INNER|CROSS|JOIN|STRAIGHT_JOIN|ORDER|GROUP|LIMIT|LOCK|FOR|USING)\\b";
  const table = new RegExp(
    `\\b(?:FROM|JOIN|STRAIGHT_JOIN|UPDATE)\\s+(\\w+)(?:\\s+(?!${keyword})(?:AS\\s+)?(\\w+))?`,
    "g",
  );
  const tables = new Map<string, Set<string>>();
  for (const [, name, alias = name] of sql.matchAll(table))
    tables.set(alias!, (tables.get(alias!) ?? new Set()).add(name!));
  return tables;
}

const isPlanned = ({ sql }: Statement): boolean => /^[\s(]*(SELECT|UPDATE|DELETE)\b/.test(sql);

/** Every full scan of a large table among statements, with the statement. */
async function scansOf(statements: readonly Statement[]): Promise<string[]> {
  const found = new Set<string>();
  for (const statement of statements.filter(isPlanned))
    for (const scan of await fullScans(statement)) found.add(`${scan} in ${statement.sql.slice(0, 300)}`);
  return [...found];
}

/**
 * How many rows and index entries the server reads to answer a SELECT, give or take a few dozen of the
 * question itself. A plan does not show what is read from an index only to be left out.
 */
async function rowsRead({ sql, values }: Statement): Promise<number> {
  const connection = await database.getConnection();
  try {
    const soFar = async (): Promise<number> => {
      const [rows] = await connection.query<RowDataPacket[]>("SHOW SESSION STATUS LIKE 'Handler_read%'");
      return rows.reduce((sum, row) => sum + Number(row["Value"]), 0);
    };
    const before = await soFar();
    await connection.query(sql, values as unknown[]);
    return (await soFar()) - before;
  } finally {
    connection.release();
  }
}

/** What is about all members of a room, and reads an entry for each of them. */
const OF_ALL_MEMBERS = [
  /FORCE INDEX \(positions_in_a_room\)/,
  /LEFT JOIN users u ON u.user_id = m.user_id\s+WHERE r.room_id = (?:\?|\d+)/,
  /^SELECT user_id FROM room_members WHERE room_id = (?:\?|\d+)$/,
];

/** The SELECTs among statements that read more than `most` rows, each with its number of rows. */
async function wastefulOf(statements: readonly Statement[], most: number): Promise<string[]> {
  const found: string[] = [];
  for (const statement of statements) {
    const { sql } = statement;
    if (!/^[\s(]*SELECT\b/.test(sql) || OF_ALL_MEMBERS.some((one) => one.test(sql))) continue;
    const read = await rowsRead(statement);
    if (read > most) found.push(`${read} rows in ${sql.slice(0, 300)}`);
  }
  return found;
}

describe("the check", () => {
  test.each<[string, string, string[]]>([
    ["a search without an index", "SELECT * FROM messages WHERE content = 'x'", ["messages: ALL"]],
    ["a count over an index", "SELECT COUNT(*) FROM room_members", ["room_members: index"]],
    ["an update of what no index finds", "UPDATE rooms SET name = 'x' WHERE name = 'y'", ["rooms: index"]],
    ["a removal of what no index finds", "DELETE FROM users WHERE nickname = 'x'", ["users: ALL"]],
    [
      "an aliased one in a subquery",
      "SELECT (SELECT COUNT(*) FROM messages v WHERE v.sender_id = m.user_id) FROM room_members AS m WHERE m.room_id = 1",
      ["messages: ALL"],
    ],
    [
      "one of two that are joined",
      "SELECT * FROM room_members m JOIN messages l ON l.sender_id = m.user_id WHERE m.room_id = 1",
      ["messages: ALL"],
    ],
    [
      "one behind a derived table",
      "SELECT * FROM (SELECT room_id FROM rooms WHERE name = 'x' LIMIT 5) p JOIN room_members m ON m.room_id = p.room_id",
      ["rooms: ALL"],
    ],
  ])("finds %s", async (_what, sql, scans) => {
    expect(await fullScans({ sql, values: [] })).toEqual(scans);
  });

  test.each([
    "SELECT * FROM messages WHERE room_id = 1 AND seq > 5 ORDER BY seq LIMIT 3",
    "SELECT * FROM (SELECT room_id FROM room_members WHERE user_id = 1) p JOIN rooms r ON r.room_id = p.room_id",
    "UPDATE room_members SET last_read_seq = 1 WHERE room_id = 1 AND user_id = 1",
    "SELECT * FROM stream_positions",
  ])("finds nothing in %s", async (sql) => {
    expect(await fullScans({ sql, values: [] })).toEqual([]);
  });

  test("finds what is read from an index only to be left out", async () => {
    const sql = `SELECT COUNT(*) FROM messages FORCE INDEX (place_in_room) WHERE room_id = ${BIG} AND seq % 1000 = 0`;
    expect(await fullScans({ sql, values: [] })).toEqual([]);
    expect(await wastefulOf([{ sql, values: [] }], 1_000)).toHaveLength(1);
    const few = `SELECT seq FROM messages WHERE room_id = ${BIG} AND seq > 19900`;
    expect(await wastefulOf([{ sql: few, values: [] }], 1_000)).toEqual([]);
  });

  test("looks at a union in brackets, too, at each of its parts", async () => {
    const sql =
      "(SELECT user_id FROM users m WHERE m.user_id = 1) UNION ALL (SELECT m.room_id FROM rooms m WHERE m.name = 'x')";
    expect(await scansOf([{ sql, values: [] }])).toEqual([`users or rooms: ALL in ${sql}`]);
    expect(await wastefulOf([{ sql, values: [] }], 1_000)).toHaveLength(1);
  });

  test("finds one among what a transaction does, too", async () => {
    const statements: Statement[] = [];
    const connection = await recording(statements).getConnection();
    await connection.query({ sql: "SELECT 1 FROM users WHERE nickname = ?", values: ["nobody"] });
    connection.release();
    expect(await scansOf(statements)).toEqual(["users: ALL in SELECT 1 FROM users WHERE nickname = ?"]);
  });
});

describe("no statement reads all of a large table", () => {
  let statements: Statement[];
  let bus: FakeEventBus;
  let broadcaster: FakeBroadcaster;
  let deps: StoreDeps & RoomDeps & CommandDeps;
  let hubAge = 0;
  /** Which of the store's functions have been asked by any of these tests. */
  const asked = new Set<string>();
  const store = {
    ...idempotencyKeys,
    ...members,
    ...membershipOutbox,
    ...messages,
    ...readOutbox,
    ...roomLists,
    ...rooms,
    ...streamPositions,
    ...unshown,
    ...subscriptionIds,
    ...users,
  };

  beforeEach(() => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    statements = [];
    bus = new FakeEventBus({ [READS]: 1, [MESSAGES]: 1, "chat-read-events-dlt": 1, "chat-messages-dlt": 1 });
    // Each test has hubs of their own creation time, and so positions of its own.
    hubAge += 2;
    for (let times = 0; times < hubAge; times += 1) for (const hub of [READS, MESSAGES]) bus.makeHub(hub, 1);
    broadcaster = new FakeBroadcaster();
    const sessions = new FakeSessionStore();
    const recorded = recording(statements);
    const readMerger = createReadMerger({
      database: recorded,
      broadcaster,
      now: Date.now,
      ...portsOf(sessions),
    });
    deps = {
      database: recorded,
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
  });
  afterEach(async () => {
    await deps.readMerger.close();
    for (const [name, one] of Object.entries(store))
      if (vi.isMockFunction(one) && one.mock.calls.length > 0) asked.add(name);
    vi.restoreAllMocks();
  });

  /** `most`: how many rows one SELECT may read. */
  const noScans = async (atLeast: number, most = 3_000): Promise<void> => {
    await deps.readMerger.settled();
    const all = [...statements];
    expect(all.filter(isPlanned).length).toBeGreaterThanOrEqual(atLeast);
    expect(await scansOf(all)).toEqual([]);
    expect(await wastefulOf(all, most)).toEqual([]);
  };

  const bigRoom = { roomId: BIG };
  const messageOf = async (room: number, seq: number): Promise<number> => {
    const [rows] = await database.query<RowDataPacket[]>(
      "SELECT message_id FROM messages WHERE room_id = ? AND seq = ?",
      [room, seq],
    );
    return rows[0]?.["message_id"];
  };

  /** User 1 is in 1,001 rooms, and the list sorts them by their activity. */
  const OF_ALL_ROOMS_OF_A_USER = 5_000;

  test.each<[string, number, () => Promise<unknown>, most?: number]>([
    ["GET /rooms", 1, () => listRooms({ callerId: 1, limit: 50 }, deps), OF_ALL_ROOMS_OF_A_USER],
    [
      "GET /rooms, the next page",
      2,
      async () => {
        const { cursor } = await listRooms({ limit: 100, callerId: 1 }, deps);
        await listRooms({ cursor: cursor!, limit: 100, callerId: 1 }, deps);
      },
      OF_ALL_ROOMS_OF_A_USER,
    ],
    ["GET /rooms of one-to-one rooms", 2, () => listRooms({ callerId: 15_500, limit: 50 }, deps)],
    ["POST /rooms of a new pair", 1, () => openDirectRoom({ targetUserId: 2, callerId: 1 }, deps)],
    ["POST /rooms of a known pair", 2, () => openDirectRoom({ targetUserId: 16_000, callerId: 6_000 }, deps)],
    [
      "POST /rooms by who had left",
      8,
      async () => {
        await leaveRoom({ roomId: 16_001, callerId: 16_001 }, deps);
        await openDirectRoom({ targetUserId: 6_001, callerId: 16_001 }, deps);
      },
    ],
    [
      "POST /group-rooms",
      0,
      () =>
        createGroupRoom(
          { roomName: "new", userIds: Array.from({ length: 500 }, (_, index) => 2 + index), callerId: 1 },
          deps,
        ),
    ],
    [
      "PATCH /group-rooms/{roomId}",
      4,
      () =>
        changeRoom(
          { ...bigRoom, name: "renamed", imageUrl: "https://example.com/team.png", callerId: 1 },
          deps,
        ),
    ],
    ["GET /group-rooms/{roomId}/members", 3, () => listMembers({ ...bigRoom, callerId: 1 }, deps)],
    [
      "GET /group-rooms/{roomId}/members of a small room",
      3,
      () => listMembers({ roomId: 77, callerId: 77 }, deps),
    ],
    [
      "POST /group-rooms/{roomId}/invite",
      6,
      () =>
        inviteMembers(
          { ...bigRoom, userIds: Array.from({ length: 500 }, (_, index) => 6_000 + index), callerId: 1 },
          deps,
        ),
    ],
    [
      "DELETE /group-rooms/{roomId}/members/{userId}",
      9,
      () => removeMember({ ...bigRoom, userId: 4_000, callerId: 1 }, deps),
    ],
    ["DELETE /rooms/{roomId}", 9, () => leaveRoom({ ...bigRoom, callerId: 4_001 }, deps)],
    ["DELETE /rooms/{roomId} by the creator", 10, () => leaveRoom({ roomId: 500, callerId: 500 }, deps)],
    [
      "DELETE /rooms/{roomId} of a one-to-one room",
      6,
      () => leaveRoom({ roomId: 16_002, callerId: 6_002 }, deps),
    ],
    ["GET /rooms/{roomId}/messages", 4, () => listMessages({ ...bigRoom, callerId: 1, limit: 50 }, deps)],
    [
      "GET /rooms/{roomId}/messages?before=",
      4,
      () => listMessages({ ...bigRoom, before: 10_000, limit: 100, callerId: 1 }, deps),
    ],
    [
      "GET /rooms/{roomId}/messages?after=",
      4,
      () => listMessages({ ...bigRoom, after: 3, limit: 100, callerId: 1 }, deps),
    ],
    [
      "GET /rooms/{roomId}/messages of a small room",
      4,
      () => listMessages({ roomId: 77, callerId: 77, limit: 50 }, deps),
    ],
    ["PATCH /rooms/{roomId}/read", 2, () => readRoom({ ...bigRoom, messageId: 9, callerId: 1 }, deps)],
    [
      "DELETE /rooms/{roomId}/messages/{messageId}",
      3,
      async () => deleteMessage({ ...bigRoom, messageId: await messageOf(BIG, 5), callerId: 1 }, deps),
    ],
    ["DELETE /users/{userId}/rooms", 10, () => withdrawUser({ userId: 4_444 }, deps)],
    [
      "POST /group-rooms with a key, and again",
      2,
      async () => {
        await createGroupRoom({ roomName: "new", userIds: [2, 3], callerId: 1, key: "once" }, deps);
        await createGroupRoom({ roomName: "new", userIds: [2, 3], callerId: 1, key: "once" }, deps);
      },
    ],
    ["a token of who has been here", 1, () => createArrivals(deps)(1)],
    ["a token of who is new", 2, () => createArrivals(deps)(30_001)],
    [
      "a token of who is a member and has never been here",
      8,
      async () => {
        await inviteMembers({ ...bigRoom, userIds: [30_002], callerId: 1 }, deps);
        await createArrivals(deps)(30_002);
      },
    ],
    ["a token's nickname", 0, () => users.rememberUser(deps.database, { userId: 1, nickname: "Ann" })],
  ])("%s", async (_call, atLeast, call, most) => {
    await call();
    await noScans(atLeast, most);
  });

  test.each<[string, object]>([
    ["newest", {}],
    ...[20_000, 15_000, 10_000, 5_000, 200].map((seq): [string, object] => [
      `before ${seq}`,
      { before: seq },
    ]),
    ...[0, 5_000, 10_000, 15_000, 19_900].map((seq): [string, object] => [`after ${seq}`, { after: seq }]),
  ])(
    "a page of a big room's history reads about as much as it shows, wherever it stands: %s",
    async (_where, query) => {
      await listMessages({ ...bigRoom, ...query, limit: 100, callerId: 2 }, deps);
      const pages = statements.filter(({ sql }) => / FROM messages\b/.test(sql));
      expect(pages).toHaveLength(1);
      expect(await wastefulOf(pages, 1_000)).toEqual([]);
    },
  );

  const frame = (userId: number, text: string, subscriptions: ReadonlyMap<string, string> = new Map()) =>
    handleMessage(
      { data: Buffer.from(text), eventId: "1" },
      {
        connectionId: `${userId}-phone`,
        userId,
        state: { version: "1.2", expiresAt: Date.now() / 1_000 + 600, subscriptions },
      },
      deps,
    );

  test.each<[string, number, string]>([
    ["SUBSCRIBE", 3, `SUBSCRIBE\nid:sub-1\ndestination:/sub/chat/room/${BIG}\nreceipt:r\n\n\0`],
    [
      "SUBSCRIBE to a room's reads",
      3,
      `SUBSCRIBE\nid:sub-1\ndestination:/sub/chat/room/${BIG}/read\nreceipt:r\n\n\0`,
    ],
    [
      "SUBSCRIBE with last-seq",
      8,
      `SUBSCRIBE\nid:sub-1\ndestination:/sub/chat/room/${BIG}\nlast-seq:19990\nreceipt:r\n\n\0`,
    ],
    [
      "SUBSCRIBE with more missed than is sent",
      9,
      `SUBSCRIBE\nid:sub-1\ndestination:/sub/chat/room/${BIG}\nlast-seq:0\nreceipt:r\n\n\0`,
    ],
    ["SUBSCRIBE to errors", 1, "SUBSCRIBE\nid:sub-1\ndestination:/user/queue/errors\nreceipt:r\n\n\0"],
    [
      "SEND of a message",
      1,
      `SEND\ndestination:/pub/chat/message\nreceipt:r\n\n{"roomId":${BIG},"content":"a"}\0`,
    ],
    ["SEND of a read", 1, `SEND\ndestination:/pub/chat/read\nreceipt:r\n\n{"roomId":${BIG},"messageId":1}\0`],
  ])("%s", async (_frame, atLeast, text) => {
    expect((await frame(7, text)).text).toContain("RECEIPT");
    await noScans(atLeast);
  });

  test("SUBSCRIBE of who was invited today", async () => {
    await database.query(
      "UPDATE room_members SET joined_seq = 9, joined_at = NOW(3) WHERE room_id = ? AND user_id = 9",
      [BIG],
    );
    const text = `SUBSCRIBE\nid:sub-1\ndestination:/sub/chat/room/${BIG}\nreceipt:r\n\n\0`;
    expect((await frame(9, text)).text).toContain("RECEIPT");
    await noScans(4);
  });

  test("SEND of who the cache says is no member", async () => {
    await deps.members.putMembers(BIG, [1], await deps.members.membersVersion(BIG));
    await frame(8, `SEND\ndestination:/pub/chat/message\nreceipt:r\n\n{"roomId":${BIG},"content":"a"}\0`);
    await noScans(1);
  });

  test("UNSUBSCRIBE", async () => {
    await frame(7, "UNSUBSCRIBE\nid:sub-0\nreceipt:r\n\n\0", new Map([["sub-0", "r900"]]));
    await noScans(1);
  });

  const times = <T>(count: number, one: (index: number) => T): T[] =>
    Array.from({ length: count }, (_, index) => one(index));
  let events = 0;
  const message = (roomId: number, senderId: number, more: object = {}) =>
    bus.append(
      MESSAGES,
      "0",
      JSON.stringify({
        v: 1,
        eventId: `plan-${++events}`,
        roomId,
        senderId,
        senderNickname: "Ann",
        clientMessageId: null,
        type: "TEXT",
        content: "a",
        sentAt: AT,
        ...more,
      }),
      String(roomId),
    );
  const storeBatchOf = (batch: EventBatch): Promise<void> => storeMessages(batch, deps);
  const storeBatch = (batch: ReturnType<typeof message>[], with_: Partial<StoreDeps> = {}): Promise<void> =>
    storeMessages({ hub: MESSAGES, partitionId: "0", events: batch }, { ...deps, ...with_ });

  test.each<[string, (index: number) => readonly [roomId: number, senderId: number]]>([
    ["200 rooms", (index) => [index * 50 + 1, index * 50 + 1]],
    ["200 rooms side by side", (index) => [3_000 + index, 3_000 + index]],
    ["one big room", (index) => [BIG, 100 + index]],
    ["one small room", () => [4_001, 4_001]],
  ])("a batch of 200 messages of %s", async (_which, pick) => {
    await storeBatch(times(200, (index) => message(...pick(index))));
    await noScans(6);
  });

  test("a batch of 500 messages, as one that is read again has", async () => {
    await storeBatch(times(500, (index) => message(index * 20 + 1, index * 20 + 1)));
    await noScans(6);
  });

  test("a batch of one message", async () => {
    await storeBatch([message(4_002, 4_002)]);
    await noScans(6);
  });

  test("a batch that reopens one-to-one rooms", async () => {
    await leaveRoom({ roomId: 16_003, callerId: 6_003 }, deps);
    await storeBatch([message(16_003, 16_003)]);
    await noScans(12);
  });

  test("a batch whose broadcast is made good by the next", async () => {
    broadcaster.away = true;
    const first = times(50, (index) => message(index + 5_001, index + 5_001, { clientMessageId: index }));
    await expect(storeBatch(first, { retryBudgetMs: 500 })).rejects.toMatchObject({ code: "UNAVAILABLE" });
    broadcaster.away = false;
    statements.length = 0;
    await storeBatch([message(5_001, 5_001)]);
    await noScans(50);
  });

  const readOf = async (roomId: number, userId: number, seq = 9) =>
    bus.append(
      READS,
      "0",
      JSON.stringify({ v: 1, roomId, userId, messageId: await messageOf(roomId, seq), readAt: AT }),
      String(userId),
    );
  const storeReadBatch = async (
    reads: readonly Promise<Awaited<ReturnType<typeof readOf>>>[],
  ): Promise<void> => {
    const batch = (await Promise.all(reads)).sort((a, b) => a.sequenceNumber - b.sequenceNumber);
    await storeReads({ hub: READS, partitionId: "0", events: batch }, deps);
  };

  test.each<[string, number, (index: number) => readonly [roomId: number, userId: number]]>([
    ["200 reads of 200 rooms", 200, (index) => [index * 50 + 2, index * 50 + 2]],
    ["200 reads of rooms side by side", 200, (index) => [7_000 + index, 7_000 + index]],
    ["200 reads of one user", 200, (index) => [index * 50 + 10, 1]],
    [
      "500 reads of 500 rooms, as one that is read again has",
      500,
      (index) => [index * 20 + 3, index * 20 + 3],
    ],
    ["one read", 1, () => [8_001, 8_001]],
  ])("a batch of %s", async (_which, count, pick) => {
    await storeReadBatch(times(count, (index) => readOf(...pick(index))));
    await noScans(6);
  });

  test("a batch of reads of who has deleted unread messages", async () => {
    await database.query("UPDATE room_members SET hidden_unread = 1 WHERE room_id BETWEEN 9000 AND 9100");
    await storeReadBatch(times(100, (index) => readOf(9_000 + index, 9_000 + index)));
    await noScans(7);
  });

  test("a batch of 200 reads of a big room, which are shown merged", async () => {
    await storeReadBatch(times(200, (index) => readOf(BIG, 100 + index, 20_000)));
    await noScans(6);
  });

  test("catching up with the hub itself", async () => {
    for (let index = 0; index < 50; index += 1) message(index + 6_001, index + 6_001);
    await catchUp(MESSAGES, undefined, storeBatchOf, deps);
    await noScans(7);
  });

  test("what waits in the hubs", async () => {
    message(6_001, 6_001);
    const lag = await createLag(deps)();
    expect(lag.filter(({ events }) => events === undefined)).toEqual([]);
    await noScans(2);
  });

  test("the sweep", async () => {
    broadcaster.away = true;
    bus.away = true;
    await removeMember({ roomId: 9_001, userId: 9_002, callerId: 9_001 }, deps);
    bus.away = false;
    await storeReadBatch([readOf(9_003, 9_004)]);
    broadcaster.away = false;
    await deps.readMerger.settled();
    await database.query("UPDATE membership_outbox SET created_at = created_at - INTERVAL 1 MINUTE");
    statements.length = 0;
    await sweepChanges(deps);
    await sweepReads(deps);
    await sweepAnswers(deps);
    await noScans(9);
  });

  test("a log that went back", async () => {
    const stream = { hub: MESSAGES, partitionId: "0", hubId: await bus.hubId(MESSAGES) };
    await store.beginStream(deps.database, stream, 3);
    await rewind(stream, { stored: 3, broadcast: 3 }, deps);
    expect(await scansOf(statements)).toEqual([]);
  });

  test("and none of the store's statements was left out", () => {
    const all = Object.entries(store).flatMap(([name, one]) => (vi.isMockFunction(one) ? name : []));
    // Those that run no statement of their own.
    const pure = new Set(["memberKey", "usersOfPair", "namelessUser", "isAwaited", "subjectOf"]);
    expect(all.length).toBeGreaterThan(30);
    expect(all.filter((name) => !asked.has(name) && !pure.has(name))).toEqual([]);
  });
});
