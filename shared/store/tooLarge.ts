import type { RowDataPacket } from "mysql2/promise";
import { isLost } from "./failures.js";

/** Nobody lets a server take less: its default is a thousand times as much. */
const LEAST_PACKET = 16_384;

/**
 * The failure of a statement that may have been larger than `max_allowed_packet`. The server answers 1153 and
 * closes the connection while the statement is still being sent, so often nothing is left of its answer but
 * a lost connection. What became of the statement is told by its `size` in bytes and the server's limit, which `ask`
 * reads on another connection.
 */
export async function tooLargeOr(
  error: unknown,
  size: () => number,
  ask: (sql: string) => Promise<[RowDataPacket[], unknown]>,
): Promise<unknown> {
  if (!isLost(error)) return error;
  const bytes = size();
  if (bytes <= LEAST_PACKET) return error;
  const limit = await ask("SELECT @@max_allowed_packet AS limit_now").then(
    ([[row]]) => Number(row?.["limit_now"]),
    () => Number.POSITIVE_INFINITY,
  );
  return bytes > limit ? packetError(bytes, limit, error) : error;
}

const packetError = (bytes: number, limit: number, cause: unknown): Error =>
  Object.assign(
    new Error(`A statement of ${bytes} bytes exceeds max_allowed_packet, ${limit} bytes.`, { cause }),
    {
      errno: 1153,
      code: "ER_NET_PACKET_TOO_LARGE",
      sqlState: "08S01",
      fatal: true,
    },
  );
