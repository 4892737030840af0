import { createConnection } from "mysql2/promise";
import { inject, vi } from "vitest";
import { type Database, openDatabase } from "../../shared/store/database.js";
import { migrate } from "../../shared/store/migrate.js";

/**
 * A migrated database of its own on the stack's real MySQL or MariaDB. `close` drops it. Users 1 to `users`
 * have come before: a user who never came would be an awaited member.
 */
export async function newDatabase(users = 1_000): Promise<{
  database: Database;
  url: string;
  close: () => Promise<void>;
}> {
  const url = new URL(inject("stack").mysql);
  const name = `test_${process.pid}_${Math.random().toString(36).slice(2, 10)}`;
  url.pathname = `/${name}`;
  await migrate(url.href);
  const database = openDatabase(url.href);
  const known = Array.from({ length: users }, (_, index) => [index + 1, new Date()]);
  if (users > 0) await database.query("INSERT INTO users (user_id, updated_at) VALUES ?", [known]);
  return {
    database,
    url: url.href,
    async close() {
      await database.end();
      const connection = await createConnection(inject("stack").mysql);
      await connection.query("DROP DATABASE ??", [name]);
      await connection.end();
    },
  };
}

/** Notes in `sent` what goes to the server on connections of the database, in this order: one for each round trip. */
export function noteSent(database: Database, sent: string[]): void {
  const { getConnection } = database;
  vi.spyOn(database, "getConnection").mockImplementation(async (fresh) => {
    const connection = await getConnection(fresh);
    const { query } = Object.getPrototypeOf(connection);
    return Object.assign(connection, {
      query: (options: { sql: string }) => {
        sent.push(options.sql);
        return query.call(connection, options);
      },
    });
  });
}

/** The same server, as its user who may do everything. */
export function rootUrl(url: string): string {
  const root = new URL(url);
  [root.username, root.password, root.pathname] = ["root", "", ""];
  return root.href;
}
