import { createConnection, type ResultSetHeader, type RowDataPacket } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { Fault } from "../../shared/platform/errors.js";
import { type Database, isDuplicate, openDatabase } from "../../shared/store/database.js";
import { insertLater } from "../../shared/store/idToCome.js";
import { inTransaction, type Transaction } from "../../shared/store/transaction.js";
import { newDatabase, noteSent, rootUrl } from "../support/database.js";
import { startTcpProxy, type TcpProxy } from "../support/tcpProxy.js";

let url: string;
let close: () => Promise<void>;
let proxy: TcpProxy;
let database: Database;
const faults: Fault[] = [];
/** What went to the server, in this order: one for each round trip. */
const sent: string[] = [];

beforeAll(async () => {
  const own = await newDatabase();
  ({ url, close } = own);
  await own.database.query(
    "CREATE TABLE things (id INT AUTO_INCREMENT PRIMARY KEY, n INT UNIQUE, other INT)",
  );
  proxy = await startTcpProxy(() => Number(new URL(url).port));
});
afterAll(async () => {
  await proxy.close();
  await close();
});
beforeEach(async () => {
  const through = new URL(url);
  through.port = String(proxy.port);
  database = openDatabase(through.href, { poolSize: 2, onFault: (fault) => void faults.push(fault) });
  await database.query("TRUNCATE things");
  noteSent(database, sent);
  faults.length = 0;
  sent.length = 0;
});
afterEach(() => database.end());

const numbers = async (): Promise<readonly number[]> =>
  (await database.query<RowDataPacket[]>("SELECT n FROM things ORDER BY id"))[0].map((row) => row["n"]);

test("what is asked for in one turn goes together with the beginning, and what nobody awaits with the end", async () => {
  const found = await inTransaction(database, async (tx) => {
    const [one, [two]] = await Promise.all([
      tx.query<RowDataPacket[]>("SELECT ? AS a", ["it's; one?"]),
      tx.query<RowDataPacket[]>("SELECT 2 AS b UNION ALL SELECT 3"),
    ]);
    tx.later("INSERT INTO things (n) VALUES (?)", [7]);
    tx.later("INSERT INTO things (n) VALUES ?", [[[8], [9]]]);
    return [one[0], two];
  });
  expect(found).toEqual([[{ a: "it's; one?" }], [{ b: 2 }, { b: 3 }]]);
  expect(sent).toEqual([
    "START TRANSACTION;\nSELECT 'it\\'s; one?' AS a;\nSELECT 2 AS b UNION ALL SELECT 3",
    "INSERT INTO things (n) VALUES (7);\nINSERT INTO things (n) VALUES (8), (9);\nCOMMIT",
  ]);
  expect(await numbers()).toEqual([7, 8, 9]);
});

test("what is asked for later comes before what is asked for after it, and is seen by it", async () => {
  const seen: unknown[] = [];
  await inTransaction(database, async (tx) => {
    tx.later("INSERT INTO things (n) VALUES (1)", undefined, ({ insertId }) => seen.push(insertId));
    expect(seen).toEqual([]);
    seen.push((await tx.query("SELECT n FROM things"))[0]);
    tx.later("UPDATE things SET n = n + 1");
    await tx.flush();
    seen.push((await tx.query("SELECT n FROM things"))[0]);
  });
  expect(seen).toEqual([1, [{ n: 1 }], [{ n: 2 }]]);
  expect(sent).toHaveLength(4);
});

test("what is asked for behind the commit goes with it, and sees it", async () => {
  let behind: Promise<unknown> | undefined;
  await inTransaction(database, async (tx) => {
    tx.later("INSERT INTO things (n) VALUES (1)");
    behind = tx.behindCommit.query("SELECT n FROM things");
    // It has not run by now.
    tx.later("INSERT INTO things (n) VALUES (2)");
  });
  const [rows] = (await behind) as [RowDataPacket[]];
  expect(rows.map((row) => row["n"])).toEqual([1, 2]);
  expect(sent).toHaveLength(1);
  expect(sent[0]).toMatch(/;\nCOMMIT;\nSELECT/);
});

test("what is asked for behind a commit that fails, or is never made, fails with it", async () => {
  for (const last of ["INSERT INTO things (n) VALUES (1)", undefined]) {
    let behind: Promise<unknown> | undefined;
    const failing = inTransaction(database, async (tx) => {
      tx.later("INSERT INTO things (n) VALUES (1)");
      behind = tx.behindCommit.query("SELECT n FROM things");
      behind.catch(() => {});
      if (!last) throw new Error("stop");
      tx.later(last);
    });
    const error = await failing.catch((reason: unknown) => reason);
    expect(last ? isDuplicate(error) : error).toEqual(last ? true : new Error("stop"));
    await expect(behind).rejects.toBe(error);
    expect(await numbers()).toEqual([]);
  }
});

test("a failure behind the commit is thrown as one of the commit, of which nobody knows", async () => {
  const failing = inTransaction(database, async (tx) => {
    tx.later("INSERT INTO things (n) VALUES (1)");
    tx.behindCommit.query("SELECT nothing FROM things").catch(() => {});
  });
  await expect(failing).rejects.toMatchObject({ cause: { code: "ER_BAD_FIELD_ERROR" } });
  expect(await numbers()).toEqual([1]);
});

test("ids to come are those of the rows, in later statements and after the commit", async () => {
  const ids = await inTransaction(database, async (tx) => {
    const of = (name: string, ...rows: readonly number[]) =>
      insertLater(tx, "INSERT INTO things (n) VALUES ?", [rows.map((n) => [n])], {
        name,
        count: rows.length,
        step: 1,
      });
    const both = [...of("first", 10, 20, 30), ...of("second", 40, 50)];
    expect(() => both[0]!.known()).toThrow("not inserted yet");
    for (const id of both) tx.later("UPDATE things SET other = n WHERE id = ?", [id]);
    tx.later("UPDATE things SET other = ? WHERE n = 10", [both[4]]);
    return both;
  });
  const [rows] = await database.query<RowDataPacket[]>("SELECT id, other FROM things ORDER BY n");
  expect(rows.map((row) => row["id"])).toEqual(ids.map((id) => id.known()));
  expect(rows.map((row) => row["other"])).toEqual([rows[4]!["id"], 20, 30, 40, 50]);
});

test("where one of several fails none behind it runs, all throw, and nothing is committed", async () => {
  const ends: unknown[] = [];
  const failing = inTransaction(database, async (tx) => {
    await tx.query("INSERT INTO things (n) VALUES (1)");
    const asked = await Promise.allSettled([
      tx.query("INSERT INTO things (n) VALUES (2)"),
      tx.query("INSERT INTO things (n) VALUES (1)"),
      tx.query("INSERT INTO things (n) VALUES (3)"),
    ]);
    ends.push(...asked.map((one) => one.status === "rejected" && isDuplicate(one.reason)));
    // What was lost with the failure must not be taken for stored by who goes on.
    await tx.query("INSERT INTO things (n) VALUES (4)").catch((error) => ends.push(isDuplicate(error)));
  });
  await expect(failing).rejects.toSatisfy(isDuplicate);
  expect(ends).toEqual([true, true, true, true]);
  expect(await numbers()).toEqual([]);
  expect(sent.at(-2)).toBe("ROLLBACK");
});

test("a statement that nobody awaits fails the commit, which then commits nothing", async () => {
  const failing = inTransaction(database, async (tx) => {
    tx.later("INSERT INTO things (n) VALUES (1)");
    tx.later("INSERT INTO things (n) VALUES (1)");
    tx.later("INSERT INTO things (n) VALUES (2)");
  });
  await expect(failing).rejects.toSatisfy(isDuplicate);
  expect(await numbers()).toEqual([]);
});

test("who goes on after the failure of their one statement commits the rest", async () => {
  await inTransaction(database, async (tx) => {
    await tx.query("INSERT INTO things (n) VALUES (1)");
    await expect(tx.query("INSERT INTO things (n) VALUES (1)")).rejects.toSatisfy(isDuplicate);
    await tx.query("INSERT INTO things (n) VALUES (2)");
  });
  expect(await numbers()).toEqual([1, 2]);
});

test("a transaction that throws while statements are under way leaves nothing behind", async () => {
  for (let round = 0; round < 6; round += 1)
    await expect(
      inTransaction(database, async (tx) => {
        const asked = tx.query("INSERT INTO things (n) VALUES (1)").catch(() => {});
        tx.later("INSERT INTO things (n) VALUES (2)");
        if (round % 2 === 0) await Promise.resolve();
        if (round % 3 === 0) await asked;
        throw new Error("stop");
      }),
    ).rejects.toThrow("stop");
  expect(await numbers()).toEqual([]);
});

test("the first statements are repeated on a connection that lives", async () => {
  await Promise.all([1, 2].map(() => database.query("SELECT SLEEP(0.05)")));
  expect(proxy.cut()).toBe(2);
  const [{ insertId }] = await inTransaction(database, async (tx) => {
    const [, inserted] = await Promise.all([
      tx.query("SELECT 1"),
      tx.query<ResultSetHeader>("INSERT INTO things (n) VALUES (5)"),
    ]);
    return inserted;
  });
  expect(insertId).toBeGreaterThan(0);
  expect(await numbers()).toEqual([5]);
});

test("what went together with COMMIT is not repeated: it may have been committed", async () => {
  const once = async (n: number) =>
    inTransaction(database, async (tx) => tx.later("INSERT INTO things (n) VALUES (?)", [n]));
  await once(1);
  // The server does the work, and its answer is lost with the connection.
  proxy.isMute = true;
  const failing = once(2);
  failing.catch(() => {});
  const other = await newConnection();
  await vi.waitFor(async () => expect(await other()).toEqual([1, 2]));
  proxy.isMute = false;
  proxy.cut();
  await expect(failing).rejects.toMatchObject({ fatal: true });
  expect(await numbers()).toEqual([1, 2]);
});

/** The same rows, by another way. */
async function newConnection(): Promise<() => Promise<readonly number[]>> {
  const direct = openDatabase(url, { poolSize: 1 });
  closing.push(() => direct.end());
  return async () => {
    const [rows] = await direct.query<RowDataPacket[]>("SELECT n FROM things ORDER BY id");
    return rows.map((row) => row["n"]);
  };
}
const closing: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const one of closing) await one();
});

test("statements that are long together go one after the other", async () => {
  const text = "x".repeat(30_000);
  await inTransaction(database, async (tx) => {
    const asked = [1, 2, 3, 4, 5].map((n) =>
      tx.query<RowDataPacket[]>("SELECT ? AS n, LENGTH(?) AS length", [n, text]),
    );
    const rows = (await Promise.all(asked)).map(([[row]]) => row);
    expect(rows).toEqual([1, 2, 3, 4, 5].map((n) => ({ n, length: text.length })));
  });
  expect(sent).toHaveLength(4);
  for (const one of sent) expect(one.length).toBeLessThan(70_000);
});

test("a transaction that has ended runs nothing more", async () => {
  for (const stop of [false, true]) {
    let left: Transaction | undefined;
    const ended = inTransaction(database, async (tx) => {
      left = tx;
      await tx.query("SELECT 1");
      if (stop) throw new Error("stop");
    });
    await ended.catch(() => {});
    sent.length = 0;
    await expect(left!.query("INSERT INTO things (n) VALUES (1)")).rejects.toThrow(/stop|is committed/);
    await expect(left!.behindCommit.query("SELECT 1")).rejects.toThrow(/stop|is committed/);
    left!.later("INSERT INTO things (n) VALUES (2)");
    await expect(left!.flush()).rejects.toThrow(/stop|is committed/);
    expect(sent).toEqual([]);
  }
});

test("what is asked for and not awaited when a transaction is given up is refused, too", async () => {
  const ends: unknown[] = [];
  const failing = inTransaction(database, async (tx) => {
    await tx.query("SELECT 1");
    tx.query("INSERT INTO things (n) VALUES (1)").then(
      () => ends.push("run"),
      () => ends.push("refused"),
    );
    throw new Error("stop");
  });
  await expect(failing).rejects.toThrow("stop");
  expect([ends, await numbers()]).toEqual([[expect.any(String)], []]);
});

test("a connection that is given back has no transaction open", async () => {
  await inTransaction(database, (tx) => tx.query("SELECT n FROM things"));
  await inTransaction(database, async (tx) => {
    await tx.query("INSERT INTO things (n) VALUES (1)");
    throw new Error("stop");
  }).catch(() => {});
  await inTransaction(database, async (tx) => {
    tx.later("INSERT INTO things (n) VALUES (2)");
    tx.later("INSERT INTO things (n) VALUES (2)");
  }).catch(() => {});
  const ids = await Promise.all(
    [1, 2].map(async () => {
      const [rows] = await database.query<RowDataPacket[]>("SELECT CONNECTION_ID() AS id, SLEEP(0.05)");
      return rows[0]!["id"];
    }),
  );
  const root = await createConnection(rootUrl(url));
  const [open] = await root.query(
    "SELECT trx_state FROM information_schema.innodb_trx WHERE trx_mysql_thread_id IN (?)",
    [ids],
  );
  await root.end();
  expect([new Set(ids).size, open]).toEqual([2, []]);
});

test("connections that are lost one after the other are given up, and the pool has all of its own again", async () => {
  for (let round = 0; round < 5; round += 1) {
    await Promise.all([1, 2].map(() => database.query("SELECT SLEEP(0.05)")));
    proxy.isMute = true;
    const failing = inTransaction(database, (tx) => tx.query("SELECT 1"));
    failing.catch(() => {});
    for (let cuts = 0; cuts < 2; cuts += 1) await vi.waitFor(() => expect(proxy.cut()).toBeGreaterThan(0));
    proxy.isMute = false;
    await failing.catch(() => {});
  }
  expect(await Promise.all([1, 2].map(() => database.query("SELECT 1 AS one")))).toMatchObject([
    [[{ one: 1 }], {}],
    [[{ one: 1 }], {}],
  ]);
});

test("a fault names the statements among which it is, each by its table", async () => {
  const failing = inTransaction(database, async (tx) => {
    const columns = Array.from({ length: 40 }, () => "n").join(", ");
    await Promise.all([
      tx.query(`SELECT ${columns} FROM things WHERE n = ?`, [1]),
      tx.query("SELECT nothing\n  FROM things"),
    ]);
  });
  await expect(failing).rejects.toMatchObject({ cause: { code: "ER_BAD_FIELD_ERROR" } });
  expect(faults).toMatchObject([{ statement: "SELECT … FROM things WHERE n = ?; SELECT … FROM things" }]);
});
