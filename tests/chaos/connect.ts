import { type Connection, type ConnectionOptions, createConnection } from "mysql2/promise";

/**
 * A connection of the machine's own, on no link. Oracle's server takes passwords over TLS alone, and MariaDB has no
 * TLS here.
 */
export function connectTo(address: ConnectionOptions): Promise<Connection> {
  const secure = { ...address, ssl: { rejectUnauthorized: false } };
  return createConnection(secure).catch(() => createConnection(address));
}
