import { type Database, type Queryable, using } from "./database.js";

/**
 * Runs `work`, which only reads, on one moment of the whole database: what others commit meanwhile is not
 * seen. It locks nothing. A server keeps old versions of rows for as long as `work` takes, so it should be
 * seconds.
 */
export async function inSnapshot<T>(database: Database, work: (db: Queryable) => Promise<T>): Promise<T> {
  const begin = async (db: Queryable): Promise<void> => {
    // For the next transaction alone; others of this connection stay READ COMMITTED.
    await db.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
    await db.query("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
  };
  return using(
    database,
    async (db) => {
      try {
        return await work(db);
      } finally {
        await db.query("ROLLBACK");
      }
    },
    { begin },
  );
}
