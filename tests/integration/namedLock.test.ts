import type { RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { type Database, openDatabase, type Queryable } from "../../shared/store/database.js";
import { withNamedLock, withNamedLockKnowing } from "../../shared/store/namedLock.js";
import { newDatabase, noteSent } from "../support/database.js";

let url: string;
let close: () => Promise<void>;
let database: Database;
/** What went to the server, in this order: one for each round trip. */
const sent: string[] = [];

beforeAll(async () => {
  const own = await newDatabase();
  ({ url, close } = own);
  await own.database.query("CREATE TABLE things (n INT PRIMARY KEY)");
  database = openDatabase(url, { poolSize: 8 });
  noteSent(database, sent);
});
afterAll(async () => {
  await database.end();
  await close();
});
beforeEach(async () => {
  await database.query("TRUNCATE things");
  sent.length = 0;
});

const things = async (db: Queryable = database): Promise<readonly number[]> =>
  (await db.query<(RowDataPacket & { n: number })[]>("SELECT n FROM things ORDER BY n"))[0].map(({ n }) => n);
const kinds = (): readonly string[] =>
  sent.map((sql) =>
    [...sql.matchAll(/GET_LOCK|RELEASE_LOCK|SELECT n|INSERT|missing|CREATE/g)]
      .map(([word]) => word)
      .join(" "),
  );
/** Whoever may take the lock at once takes it from another connection than the one that had it. */
const isFree = async (name: string): Promise<boolean> => {
  const others = await Promise.all(
    Array.from({ length: 3 }, () => withNamedLock(database, name, async () => true)),
  );
  return others.every(Boolean);
};

test("one at a time works under a lock, and different locks don't wait for each other", async () => {
  let [inside, most] = [0, 0];
  const work = async (): Promise<void> => {
    most = Math.max(most, ++inside);
    await new Promise((resolve) => setTimeout(resolve, 20));
    inside -= 1;
  };
  await Promise.all(Array.from({ length: 5 }, () => withNamedLock(database, "a", work)));
  expect([inside, most]).toEqual([0, 1]);
  await withNamedLock(database, "a", () => withNamedLock(database, "b", async () => {}));
});

test("what is looked up goes with the lock, and what is left for later with its release", async () => {
  const found = await withNamedLockKnowing(database, "a", things, async (db, before) => {
    db.later("INSERT INTO things VALUES (?)", [7]);
    db.later("INSERT INTO things VALUES (?)", [8]);
    return [before, await things(db)];
  });
  expect(found).toEqual([[], []]);
  expect(kinds()).toEqual(["GET_LOCK SELECT n", "SELECT n", "INSERT INSERT RELEASE_LOCK"]);
  expect(await things()).toEqual([7, 8]);
});

test("who waited for the lock sees what was done under it, all that was left for later", async () => {
  const order: unknown[] = [];
  const join = (n: number): Promise<void> =>
    withNamedLockKnowing(database, "a", things, async (db, before) => {
      order.push(before.length);
      await new Promise((resolve) => setTimeout(resolve, 20));
      db.later("INSERT INTO things VALUES (?)", [n]);
    });
  await Promise.all([1, 2, 3, 4].map(join));
  expect(order).toEqual([0, 1, 2, 3]);
});

test("what is looked up in several steps goes on under the lock", async () => {
  const twice = async (db: Queryable) => [await things(db), await things(db)];
  expect(await withNamedLockKnowing(database, "a", twice, async (_, found) => found)).toEqual([[], []]);
  expect(kinds()).toEqual(["GET_LOCK SELECT n", "SELECT n", "RELEASE_LOCK"]);
});

test.each([
  [
    "what is looked up",
    async (db: Queryable) => db.query("SELECT 9223372036854775807 + n FROM (SELECT 1 AS n) missing"),
    async () => {},
  ],
  [
    "its second step",
    async (db: Queryable) => {
      await things(db);
      await db.query("SELECT missing FROM things");
    },
    async () => {},
  ],
  [
    "what comes of it",
    async (db: Queryable) => {
      await things(db);
      throw new Error("missing");
    },
    async () => {},
  ],
  [
    "the work",
    things,
    async () => {
      throw new Error("missing");
    },
  ],
  ["what is left for later", things, async (db) => db.later("INSERT INTO things (missing) VALUES (1)")],
] as const satisfies readonly (readonly [
  string,
  (db: Queryable) => Promise<unknown>,
  (db: Queryable & { later(sql: string): void }) => Promise<void>,
])[])("the lock is free once %s has failed", async (_, lookUp, work) => {
  await expect(withNamedLockKnowing<void, unknown>(database, "a", lookUp, work)).rejects.toThrow(
    /missing|mended|out of range/,
  );
  expect(await isFree("a")).toBe(true);
});

test("nothing that is left for later runs behind one that failed", async () => {
  const working = withNamedLock(database, "a", async (db) => {
    db.later("INSERT INTO things VALUES (1)");
    db.later("INSERT INTO things VALUES (1)");
    db.later("INSERT INTO things VALUES (2)");
  });
  await expect(working).rejects.toMatchObject({ code: "ER_DUP_ENTRY" });
  expect(await things()).toEqual([1]);
});

test("a lock that stays taken is waited for 8 s, and what was looked up meanwhile counts for nothing", async () => {
  let isWorking = false;
  await withNamedLock(database, "a", async () => {
    const waiting = withNamedLockKnowing(database, "a", things, async () => {
      isWorking = true;
    });
    await expect(waiting).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });
  expect(isWorking).toBe(false);
  expect(await isFree("a")).toBe(true);
});

test("a lost connection is another try, also of what is looked up", async () => {
  const { getConnection } = database;
  let lost = 0;
  vi.spyOn(database, "getConnection").mockImplementationOnce(async (fresh) => {
    const connection = await getConnection(fresh);
    const [[row]] = await connection.query<RowDataPacket[]>({ sql: "SELECT CONNECTION_ID() AS id" });
    await database.query(`KILL ${row!["id"]}`);
    lost += 1;
    return connection;
  });
  const found = await withNamedLockKnowing(database, "a", things, async (_, before) => before);
  expect([found, lost]).toEqual([[], 1]);
});
