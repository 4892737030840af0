import type { Connection, RowDataPacket } from "mysql2/promise";
import { LOOPBACK } from "../../../local/ports.js";
import { connectTo } from "../connect.js";
import { APP_USER } from "./specs.js";

const CONNECT_MS = 5_000;
const STATEMENT_MS = 20_000;

/** Makes the account that the hosts use. */
export async function createAppUser(port: number): Promise<void> {
  const hosts = ["127.0.0.1", "localhost"].map((host) => `'${APP_USER}'@'${host}'`);
  for (const user of hosts) {
    await asRoot(port, `CREATE USER IF NOT EXISTS ${user} IDENTIFIED BY '${APP_USER}'`);
    await asRoot(port, `GRANT SELECT, INSERT, UPDATE, DELETE ON chat.* TO ${user}`);
  }
}

/** Runs one statement as the server's administrator, on no link. Throws after 20 s. */
export async function asRoot(port: number, sql: string): Promise<readonly RowDataPacket[]> {
  const connection = await connect(port);
  try {
    const [rows] = await connection.query<RowDataPacket[]>({ sql, timeout: STATEMENT_MS });
    return rows;
  } finally {
    connection.destroy();
  }
}

const connect = (port: number): Promise<Connection> =>
  connectTo({ host: LOOPBACK, port, user: "root", database: "chat", connectTimeout: CONNECT_MS });
