import type { RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { type Database, openDatabase } from "../../shared/store/database.js";
import { mayCommitLater } from "../../shared/store/failures.js";
import { inTransaction } from "../../shared/store/transaction.js";
import { newDatabase } from "../support/database.js";

let database: Database;
let closeDatabase: () => Promise<void>;

beforeAll(async () => {
  ({ database, close: closeDatabase } = await newDatabase());
});
afterAll(() => closeDatabase());

test("every connection of the pool is READ COMMITTED and waits 10 s for a lock", async () => {
  // The variable is called tx_isolation before MariaDB 11.1; SHOW finds either.
  const settings = await Promise.all(
    Array.from({ length: 16 }, async () => {
      const connection = await database.getConnection();
      const [rows] = await connection.query<RowDataPacket[]>(
        "SHOW SESSION VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation', 'innodb_lock_wait_timeout')",
      );
      return { connection, values: new Set(rows.map((row) => String(row["Value"]))) };
    }),
  );
  for (const { connection } of settings) connection.release();
  for (const { values } of settings) expect(values).toEqual(new Set(["READ-COMMITTED", "10"]));
});

test("a transaction sees what others have committed since it began", async () => {
  await database.query("CREATE TABLE seen (n INT)");
  await inTransaction(database, async (tx) => {
    expect((await tx.query("SELECT n FROM seen"))[0]).toEqual([]);
    await database.query("INSERT INTO seen VALUES (1)");
    expect((await tx.query("SELECT n FROM seen"))[0]).toEqual([{ n: 1 }]);
  });
});

test("a transaction that throws leaves nothing behind, and its connection is used again", async () => {
  await database.query("CREATE TABLE undone (n INT)");
  for (let round = 0; round < 40; round += 1)
    await expect(
      inTransaction(database, async (tx) => {
        await tx.query("INSERT INTO undone VALUES (1)");
        throw new Error("stop");
      }),
    ).rejects.toThrow("stop");
  expect((await database.query("SELECT n FROM undone"))[0]).toEqual([]);
});

test("a transaction whose connection is lost fails in a way that passes, and the next statement has another one", async () => {
  await expect(
    inTransaction(database, async (tx) => {
      await tx.query("SELECT 1");
      const [rows] = await tx.query<RowDataPacket[]>("SELECT CONNECTION_ID() AS id");
      await database.query(`KILL ${rows[0]!["id"]}`);
      await tx.query("SELECT 1");
    }),
  ).rejects.toSatisfy((error) => error instanceof Error && mayCommitLater(error));
  expect(await database.query("SELECT 1 AS one")).toMatchObject([[{ one: 1 }], {}]);
});

test("a statement that the server never answers is given up, and its connection with it", async () => {
  const impatient = openDatabase(inject("stack").mysql, { statementMs: 200 });
  // More often than the pool has connections: none is lost for good.
  for (let times = 0; times < 20; times += 1)
    await expect(impatient.query("SELECT SLEEP(5)")).rejects.toSatisfy(mayCommitLater);
  await expect(inTransaction(impatient, (tx) => tx.query("SELECT SLEEP(5)"))).rejects.toSatisfy(
    mayCommitLater,
  );
  expect(await impatient.query("SELECT 1 AS one")).toMatchObject([[{ one: 1 }], {}]);
  await impatient.end();
});
