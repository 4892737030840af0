import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startMySql } from "../../local/services/mysql.js";
import type { Service } from "../../local/services/service.js";
import { type Stack, startStack } from "../../local/stack.js";
import { type Database, openDatabase } from "../../shared/store/database.js";
import { insertMembers, listMemberIds } from "../../shared/store/members.js";
import { migrate } from "../../shared/store/migrate.js";
import { withNamedLock } from "../../shared/store/namedLock.js";
import { findRoom, insertRoom, renameRoom } from "../../shared/store/rooms.js";
import { inTransaction } from "../../shared/store/transaction.js";
import { findUsers, rememberUser } from "../../shared/store/users.js";
import { call, connect, history, makeRoom, newUsers } from "../support/client.js";
import { rootUrl } from "../support/database.js";
import type { Addresses } from "../support/stack.js";

/** A server with every setting that a session inherits turned against us. */
const HOSTILE = [
  "autocommit = 0",
  "completion_type = 'CHAIN'",
  "time_zone = '+09:00'",
  "sql_safe_updates = 1",
  "sql_select_limit = 2",
  "max_join_size = 1",
  "sql_big_selects = 0",
  "sql_auto_is_null = 1",
  "unique_checks = 0",
  "foreign_key_checks = 0",
  "wait_timeout = 1",
  "innodb_lock_wait_timeout = 1",
  "default_storage_engine = MyISAM",
  "character_set_server = latin1",
  "character_set_client = latin1",
  "character_set_connection = latin1",
  "character_set_results = latin1",
];
const HOSTILE_MARIADB = [
  "sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES,PIPES_AS_CONCAT,HIGH_NOT_PRECEDENCE,EMPTY_STRING_IS_NULL,ORACLE,SIMULTANEOUS_ASSIGNMENT,ONLY_FULL_GROUP_BY'",
  "tx_isolation = 'SERIALIZABLE'",
  "tx_read_only = 1",
  "max_statement_time = 0.5",
  "idle_transaction_timeout = 1",
  "idle_readonly_transaction_timeout = 1",
  "idle_write_transaction_timeout = 1",
  "in_predicate_conversion_threshold = 2",
];
const HOSTILE_MYSQL = [
  "sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES,PIPES_AS_CONCAT,HIGH_NOT_PRECEDENCE,PAD_CHAR_TO_FULL_LENGTH,NO_UNSIGNED_SUBTRACTION,ONLY_FULL_GROUP_BY'",
  "transaction_isolation = 'SERIALIZABLE'",
  "transaction_read_only = 1",
  "max_execution_time = 500",
  "range_optimizer_max_mem_size = 1",
];
const QUOTED = `it's "here" \\' || 1 -- é 비 🙂 \\`;
const INJECTION = "', name=CURRENT_USER() #";

const folder = mkdtempSync(join(tmpdir(), "nonstop-hostile-"));
let server: Service;
let url: string;
/** Does not inherit what is set after it came. */
let root: Connection;

beforeAll(async () => {
  server = await startMySql({ data: join(folder, "mysql") });
  const address = new URL(server.url);
  address.pathname = "/hostile";
  url = address.href;
  root = await createConnection(rootUrl(server.url));
  const [[version]] = await root.query<RowDataPacket[]>("SELECT VERSION() AS text");
  const isMariaDb = /mariadb/i.test(version?.["text"]);
  for (const setting of [...HOSTILE, ...(isMariaDb ? HOSTILE_MARIADB : HOSTILE_MYSQL)])
    await root.query(`SET GLOBAL ${setting}`);
});
afterAll(async () => {
  await root.end();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("on a server with hostile settings the store", () => {
  let database: Database;

  beforeAll(async () => {
    await migrate(url);
    database = openDatabase(url);
  });
  afterAll(() => database.end());

  const BEGINNING = { joinedSeq: 0, lastSeq: 0, lastMessageId: null, lastUncounted: 0 };

  const newRoom = (name: string): Promise<number> =>
    inTransaction(database, (tx) =>
      insertRoom(tx, {
        type: "GROUP",
        name,
        creatorId: 1,
        pairKey: null,
        memberCount: 1,
        awaitedCount: 0,
        now: new Date(0),
      }),
    );
  const nameOf = async (roomId: number): Promise<string | null | undefined> =>
    (await findRoom(database, roomId))?.name;

  test("is migrated to tables that know transactions, in utf8mb4", async () => {
    const [rows] = await root.query<RowDataPacket[]>(
      "SELECT DISTINCT engine AS engine, LEFT(table_collation, 7) AS charset FROM information_schema.tables WHERE table_schema = 'hostile'",
    );
    expect(rows).toEqual([{ engine: "InnoDB", charset: "utf8mb4" }]);
  });

  test.each([INJECTION, QUOTED, "\\", "\\'", "a\\\\' OR 1=1 -- ", '\0\x1a"\n\r%_', "縗\\' 뷰"])(
    "gives one room the name %j, and no other",
    async (name) => {
      const [one, other] = [await newRoom("one"), await newRoom("other")];
      await renameRoom(database, one, name);
      expect([await nameOf(one), await nameOf(other)]).toEqual([name, "other"]);
    },
  );

  test("remembers what users are called", async () => {
    const picture = "https://example.com/a'\\";
    await rememberUser(database, { userId: 5, nickname: QUOTED, picture });
    await rememberUser(database, { userId: 5, nickname: "it's", picture });
    expect((await findUsers(database, [5])).get(5)).toEqual({
      nickname: "it's",
      profileImageUrl: picture,
    });
  });

  test("commits a lone statement, and leaves no transaction open behind a COMMIT", async () => {
    const roomId = await newRoom("room");
    await renameRoom(database, roomId, "renamed");
    const [seen] = await root.query<RowDataPacket[]>("SELECT name FROM hostile.rooms WHERE room_id = ?", [
      roomId,
    ]);
    expect(seen).toHaveLength(1);
    const [open] = await root.query<RowDataPacket[]>("SELECT * FROM information_schema.innodb_trx");
    expect(open).toEqual([]);
  });

  test("reads lists to their end, and knows that a key is taken", async () => {
    const roomId = await newRoom("room");
    await inTransaction(database, (tx) =>
      insertMembers(tx, roomId, [1, 2, 3, 4, 5], new Date(), BEGINNING, new Set()),
    );
    expect(await listMemberIds(database, roomId)).toHaveLength(5);
    await expect(
      insertMembers(database, roomId, [5], new Date(), BEGINNING, new Set()),
    ).rejects.toMatchObject({
      code: "ER_DUP_ENTRY",
    });
  });

  test("refuses what is too long, instead of cutting it", async () => {
    const roomId = await newRoom("room");
    await expect(renameRoom(database, roomId, "x".repeat(101))).rejects.toMatchObject({
      code: "ER_DATA_TOO_LONG",
    });
  });

  test("holds a transaction and a named lock for as long as something else takes", async () => {
    const roomId = await newRoom("room");
    const pause = () => new Promise((resolve) => setTimeout(resolve, 2_500));
    await inTransaction(database, async (tx) => {
      await renameRoom(tx, roomId, "held");
      await pause();
    });
    expect(await nameOf(roomId)).toBe("held");
    await withNamedLock(database, "a lock", async (db) => {
      await pause();
      await db.query("SELECT 1");
    });
  });

  test("has no connection that can't be made ready", async () => {
    await root.query("CREATE USER curt IDENTIFIED BY 'curt' WITH MAX_QUERIES_PER_HOUR 1");
    await root.query("GRANT ALL ON hostile.* TO curt");
    const curt = openDatabase(url.replace("chat:chat@", "curt:curt@"));
    const refused = { code: "ER_USER_LIMIT_REACHED" };
    await expect(renameRoom(curt, await newRoom("room"), "renamed")).rejects.toMatchObject(refused);
    const connected = async () =>
      (await root.query("SELECT id FROM information_schema.processlist WHERE user = 'curt'"))[0];
    await expect.poll(connected).toEqual([]);
    await curt.end();
  });
});

describe("on a server with hostile settings the whole system", () => {
  let stack: Stack;
  const addresses = (): Addresses => stack.addresses as unknown as Addresses;

  beforeAll(async () => {
    stack = await startStack({
      data: join(folder, "stack"),
      ports: "auto",
      quiet: true,
      env: { MYSQL_URL: url, REDIS_URL: "" },
    });
  });
  afterAll(() => stack.close());

  test("sends, renames, reads, lists, invites and deletes", async () => {
    const [ann, ben, cat, dan] = newUsers(4) as [number, number, number, number];
    const [roomId, other] = [
      await makeRoom([ann, ben, cat], addresses()),
      await makeRoom([ann, ben], addresses()),
    ];
    const ask = (method: string, path: string, user: number, body?: object) =>
      call(method, path, user, body, addresses());
    const client = await connect(ann, { stack: addresses(), nickname: "Ann O'Hara \\" });
    const shown = await client.subscribe(`/sub/chat/room/${roomId}`);
    for (const content of [QUOTED, INJECTION, "three"]) await client.say(roomId, content);
    await expect.poll(() => shown.map(({ content }) => content)).toEqual([QUOTED, INJECTION, "three"]);
    expect(shown[0]?.senderNickname).toBe("Ann O'Hara \\");

    expect(await ask("PATCH", `/group-rooms/${roomId}`, ben, { name: INJECTION })).toMatchObject({
      status: 200,
    });
    const { rooms } = (await ask("GET", "/rooms", ben)).body;
    expect(
      Object.fromEntries(rooms.map((room: Record<string, unknown>) => [room["roomId"], room["name"]])),
    ).toEqual({
      [roomId]: INJECTION,
      [other]: "room",
    });

    const stored = await history(roomId, ben, addresses());
    // Behind it there may be the message of the new name by now.
    const last = stored.find(({ content }) => content === "three");
    await ask("PATCH", `/rooms/${roomId}/read?messageId=${last.messageId}`, ben);
    await expect
      .poll(async () =>
        (await ask("GET", "/rooms", ben)).body.rooms.map((room: { unreadCount: number }) => room.unreadCount),
      )
      .toEqual([0, 0]);
    expect(
      (await ask("POST", `/group-rooms/${roomId}/invite`, ann, { userIds: [dan] })).body.invited,
    ).toEqual([dan]);
    expect((await ask("GET", `/group-rooms/${roomId}/members`, ann)).body.members).toHaveLength(4);
    await ask("DELETE", `/rooms/${roomId}/messages/${last.messageId}`, ben);
    expect((await history(roomId, ben, addresses())).map(({ content }) => content)).not.toContain("three");
    await client.close();
  });
});
