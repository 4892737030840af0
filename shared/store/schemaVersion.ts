import type { RowDataPacket } from "mysql2/promise";
import type { Queryable } from "./database.js";

/** The number of the last migration, whose tables this code needs. */
export const SCHEMA_VERSION = 4;

/** The number of the last migration that was applied; 0 where none was. */
export async function schemaVersion(db: Queryable): Promise<number> {
  const [[row]] = await db.query<RowDataPacket[]>("SELECT MAX(version) AS version FROM schema_migrations");
  return row?.["version"] ?? 0;
}
