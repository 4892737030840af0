import type { RowDataPacket } from "mysql2/promise";
import type { Queryable } from "./database.js";

/** The number of the last migration, whose tables this code needs. */
export const SCHEMA_VERSION = 9;

/**
 * The last migration that was applied to a server, 0 where none was, and whether the server takes no changes.
 */
export async function findSchema(db: Queryable): Promise<{ version: number; isReadOnly: boolean }> {
  const [[row]] = await db.query<RowDataPacket[]>(
    "SELECT MAX(version) AS version, @@global.read_only AS read_only FROM schema_migrations",
  );
  // `read_only` is a number, or a word in newer versions of MariaDB.
  return { version: row?.["version"] ?? 0, isReadOnly: !["0", "OFF"].includes(String(row?.["read_only"])) };
}
