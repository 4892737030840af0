import { ChatError } from "../platform/errors.js";

/**
 * What a failure of a statement means for those who wait for it.
 *
 * - `event`: the values are at fault. No repetition stores them.
 * - `service`: the statement or the account is at fault. Only the people who run the database or the app can
 *   mend that (`faults.ts`).
 * - `passing`: the same statement may succeed later, on the same connection.
 * - `gone`: it may succeed later. This connection ends.
 * - `moved`: it may succeed later. The server takes no changes any more, so after a failover the address
 *   leads to another one: this connection and all older ones must go.
 */
export type FailureKind = "event" | "service" | "passing" | "gone" | "moved";

export interface Failure {
  readonly kind: FailureKind;
  /**
   * What a smaller batch can do. `helps`: it may succeed, as the same batch may. `needed`: the server has a
   * limit that this batch exceeds, so only a smaller one succeeds.
   */
  readonly smaller?: "helps" | "needed";
}

const numbers = (failure: Failure, errnos: readonly number[]): readonly (readonly [number, Failure])[] =>
  errnos.map((errno) => [errno, failure]);

/**
 * The one table of the server's error numbers ("MySQL Server Error Message Reference", "MariaDB Error Codes").
 * What it has not is decided by the SQL state.
 */
const BY_NUMBER: ReadonlyMap<number, Failure> = new Map([
  // NULL where a value must be; wrong, cut, out of range, too long. A missing table or column is not among
  // these: a migration mends it, and events that arrive meanwhile must wait rather than be refused.
  ...numbers({ kind: "event" }, [1048, 1264, 1265, 1292, 1366, 1406]),
  // Faults whose state doesn't say so: columns, values and collations that don't fit the statement, missing
  // variables and engines, a password that must be changed, TLS that is demanded, tables whose files are gone,
  // a binary log that can't take the statement.
  ...numbers(
    { kind: "service" },
    [
      1129, 1130, 1136, 1193, 1194, 1195, 1222, 1231, 1232, 1238, 1251, 1253, 1267, 1270, 1271, 1273, 1289,
      1356, 1364, 1449, 1524, 1665, 1812, 1814, 1820, 1862, 3118, 3159, 4151,
    ],
  ),
  // Limits on a user's connections and on results, whose states look like faults.
  ...numbers({ kind: "passing" }, [1162, 1203, 1226]),
  // Locks: a wait that was too long, a deadlock, more locks than there is room for. Disk, memory and time: a
  // full disk or table, no memory (also for sorting), a statement that takes too long, too much to read, or
  // was refused by group replication (3100, which has a limit of a transaction's size).
  ...numbers(
    { kind: "passing", smaller: "helps" },
    [1205, 1206, 1213, 1021, 1037, 1038, 1041, 1104, 1114, 1969, 3024, 3100],
  ),
  // `max_binlog_cache_size`, `max_binlog_stmt_cache_size`.
  ...numbers({ kind: "passing", smaller: "needed" }, [1197, 1705]),
  // `max_allowed_packet`: the server closes the connection.
  ...numbers({ kind: "gone", smaller: "needed" }, [1153]),
  // A shutdown, a kill, a time-out, the network, packets out of order.
  ...numbers(
    { kind: "gone" },
    [1053, 1077, 1079, 1080, 1152, 1156, 1157, 1158, 1159, 1160, 1161, 1184, 1835, 1927, 3168, 3169, 4031],
  ),
  // `read_only` and `super_read_only` (1290), their older number (1836), a read-only transaction (1792), a
  // read-only InnoDB (1874), offline mode (3032), a node of Galera that has left its cluster (1047).
  ...numbers({ kind: "moved" }, [1047, 1290, 1792, 1836, 1874, 3032]),
]);

/**
 * The SQL states of faults (ISO 9075, MySQL's "Server Error Message Reference"): syntax and rights (42),
 * refused log-ins (28), a missing database (3D), features that the server doesn't have (0A).
 */
const SERVICE_STATES = /^(42|28|3D|0A)/;

/** The driver's code for a statement that took longer than its time-out. */
const TOO_SLOW = "PROTOCOL_SEQUENCE_TIMEOUT";

/**
 * What a failed statement means. An error of ours means nothing for the connection. An error of the driver
 * ends it: what comes next on it could be the answer to another statement.
 */
export function failureOf(error: unknown): Failure {
  if (error instanceof ChatError) return { kind: error.retryable ? "passing" : "event" };
  const { errno, sqlState, code } = (error ?? {}) as Record<string, unknown>;
  const known = typeof errno === "number" ? BY_NUMBER.get(errno) : undefined;
  if (known) return known;
  if (typeof sqlState === "string") return { kind: SERVICE_STATES.test(sqlState) ? "service" : "passing" };
  return code === TOO_SLOW ? { kind: "gone", smaller: "helps" } : { kind: "gone" };
}

/** Whether the server said nothing until a statement's time was over. */
export const isSilent = (error: unknown): boolean =>
  (error as { code?: unknown } | null | undefined)?.code === TOO_SLOW;

/**
 * Whether an established connection has gone, and the statement with it. A server that has only kept silent
 * for too long doesn't count.
 */
export function isLost(error: unknown): boolean {
  const { fatal, sqlState, syscall } = (error ?? {}) as Record<string, unknown>;
  if (failureOf(error).kind !== "gone") return false;
  return typeof sqlState === "string" || (fatal === true && syscall !== "connect");
}

/**
 * Whether a connection can be used again. After the server's own answer, or an error of ours, it is as good
 * as before. After a time-out it is not.
 */
export function isUsableAfter(error: unknown): boolean {
  const { kind } = failureOf(error);
  return kind !== "gone" && kind !== "moved";
}

/** Whether a transaction that failed with this error may succeed when it runs again as it is. */
export const mayCommitLater = (error: unknown): boolean => failureOf(error).kind !== "event";

/** What a smaller batch can do about a failure. */
export const smallerBatch = (error: unknown): Failure["smaller"] => failureOf(error).smaller;
