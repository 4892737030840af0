import type { RowDataPacket } from "mysql2/promise";
import type { Queryable } from "./database.js";

/** The number of the last migration, whose tables this code needs. */
export const SCHEMA_VERSION = 4;

/** What a server is good for: the last migration that was applied to it, 0 where none was, and whether it takes changes. */
export async function findSchema(db: Queryable): Promise<{ version: number; isReadOnly: boolean }> {
  const [[row]] = await db.query<RowDataPacket[]>(
    "SELECT MAX(version) AS version, @@global.read_only AS read_only FROM schema_migrations",
  );
  // A number, or in newer versions of MariaDB a word.
  return { version: row?.["version"] ?? 0, isReadOnly: !["0", "OFF"].includes(String(row?.["read_only"])) };
}
