import { describe, expect, test } from "vitest";
import { ChatError, toBeMended } from "../platform/errors.js";
import {
  type FailureKind,
  failureOf,
  isLost,
  isUsableAfter,
  mayCommitLater,
  smallerBatch,
} from "./failures.js";

const serverError = (errno: number, sqlState: string) => Object.assign(new Error("no"), { errno, sqlState });
const driverError = (more: object) => Object.assign(new Error("no"), more);

type Row = [errno: number, sqlState: string, name: string];

const ROWS: Readonly<Record<FailureKind, readonly Row[]>> = {
  event: [
    [1048, "23000", "ER_BAD_NULL_ERROR"],
    [1264, "22003", "ER_WARN_DATA_OUT_OF_RANGE"],
    [1265, "01000", "WARN_DATA_TRUNCATED"],
    [1292, "22007", "ER_TRUNCATED_WRONG_VALUE"],
    [1366, "HY000", "ER_TRUNCATED_WRONG_VALUE_FOR_FIELD"],
    [1406, "22001", "ER_DATA_TOO_LONG"],
  ],
  service: [
    [1146, "42S02", "ER_NO_SUCH_TABLE"],
    [1054, "42S22", "ER_BAD_FIELD_ERROR"],
    [1045, "28000", "ER_ACCESS_DENIED_ERROR"],
    [1364, "HY000", "ER_NO_DEFAULT_FOR_FIELD"],
  ],
  passing: [
    [1021, "HY000", "ER_DISK_FULL"],
    [1037, "HY001", "ER_OUTOFMEMORY"],
    [1038, "HY001", "ER_OUT_OF_SORTMEMORY"],
    [1040, "08004", "ER_CON_COUNT_ERROR"],
    [1041, "HY000", "ER_OUT_OF_RESOURCES"],
    [1062, "23000", "ER_DUP_ENTRY"],
    [1104, "42000", "ER_TOO_BIG_SELECT"],
    [1114, "HY000", "ER_RECORD_FILE_FULL"],
    [1162, "42000", "ER_TOO_LONG_STRING"],
    [1197, "HY000", "ER_TRANS_CACHE_FULL"],
    [1203, "42000", "ER_TOO_MANY_USER_CONNECTIONS"],
    [1205, "HY000", "ER_LOCK_WAIT_TIMEOUT"],
    [1206, "HY000", "ER_LOCK_TABLE_FULL"],
    [1213, "40001", "ER_LOCK_DEADLOCK"],
    [1226, "42000", "ER_USER_LIMIT_REACHED"],
    [1317, "70100", "ER_QUERY_INTERRUPTED"],
    [1705, "HY000", "ER_STMT_CACHE_FULL"],
    [1969, "70100", "ER_STATEMENT_TIMEOUT"],
    [3024, "HY000", "ER_QUERY_TIMEOUT"],
    [3100, "HY000", "ER_RUN_HOOK_ERROR"],
    [3101, "40000", "ER_TRANSACTION_ROLLBACK_DURING_COMMIT"],
  ],
  gone: [
    [1053, "08S01", "ER_SERVER_SHUTDOWN"],
    [1077, "00000", "ER_NORMAL_SHUTDOWN"],
    [1079, "00000", "ER_SHUTDOWN_COMPLETE"],
    [1080, "08S01", "ER_FORCING_CLOSE"],
    [1152, "08S01", "ER_ABORTING_CONNECTION"],
    [1153, "08S01", "ER_NET_PACKET_TOO_LARGE"],
    [1156, "08S01", "ER_NET_PACKETS_OUT_OF_ORDER"],
    [1157, "08S01", "ER_NET_UNCOMPRESS_ERROR"],
    [1158, "08S01", "ER_NET_READ_ERROR"],
    [1159, "08S01", "ER_NET_READ_INTERRUPTED"],
    [1160, "08S01", "ER_NET_ERROR_ON_WRITE"],
    [1161, "08S01", "ER_NET_WRITE_INTERRUPTED"],
    [1184, "08S01", "ER_NEW_ABORTING_CONNECTION"],
    [1835, "HY000", "ER_MALFORMED_PACKET"],
    [1927, "70100", "ER_CONNECTION_KILLED"],
    [3168, "HY000", "ER_SERVER_ISNT_AVAILABLE"],
    [3169, "HY000", "ER_SESSION_WAS_KILLED"],
    [4031, "HY000", "ER_CLIENT_INTERACTION_TIMEOUT"],
  ],
  moved: [
    [1047, "08S01", "ER_UNKNOWN_COM_ERROR"],
    [1290, "HY000", "ER_OPTION_PREVENTS_STATEMENT"],
    [1792, "25006", "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION"],
    [1836, "HY000", "ER_READ_ONLY_MODE"],
    [1874, "HY000", "ER_INNODB_READ_ONLY"],
    [3032, "HY000", "ER_SERVER_OFFLINE_MODE"],
  ],
};

describe.each([
  ["event", { later: false, usable: true, lost: false }],
  ["service", { later: true, usable: true, lost: false }],
  ["passing", { later: true, usable: true, lost: false }],
  ["gone", { later: true, usable: false, lost: true }],
  ["moved", { later: true, usable: false, lost: false }],
] as const)("a failure of the kind %s", (kind, { later, usable, lost }) => {
  test.each(ROWS[kind])("is %d (%s) %s", (errno, sqlState) => {
    const error = serverError(errno, sqlState);
    expect(failureOf(error).kind).toBe(kind);
    expect([mayCommitLater(error), isUsableAfter(error), isLost(error)]).toEqual([later, usable, lost]);
  });
});

describe("a smaller batch", () => {
  const all = Object.values(ROWS).flat();
  const of = (smaller?: string): number[] =>
    all
      .filter(([errno, state]) => smallerBatch(serverError(errno, state)) === smaller)
      .map(([errno]) => errno);

  test("alone succeeds under a packet's or a transaction's limit", () => {
    expect(of("needed").sort()).toEqual([1153, 1197, 1705]);
  });

  test("may succeed where locks, disk, memory or time ran out", () => {
    const helped = [1021, 1037, 1038, 1041, 1104, 1114, 1205, 1206, 1213, 1969, 3024, 3100];
    expect(of("helps").sort()).toEqual(helped);
    expect(smallerBatch(driverError({ code: "PROTOCOL_SEQUENCE_TIMEOUT" }))).toBe("helps");
  });
});

test("an error of the driver ends the connection, and only that of an established one is a loss", () => {
  const closed = driverError({ code: "PROTOCOL_CONNECTION_LOST", fatal: true });
  const refused = driverError({ code: "ECONNREFUSED", errno: -111, syscall: "connect", fatal: true });
  const silent = driverError({ code: "PROTOCOL_SEQUENCE_TIMEOUT", syscall: "connect", fatal: true });
  for (const error of [closed, refused, silent, new TypeError("a mistake"), undefined, null, "text"]) {
    expect(isUsableAfter(error)).toBe(false);
    expect(mayCommitLater(error)).toBe(true);
  }
  expect([closed, refused, silent].map(isLost)).toEqual([true, false, false]);
});

test("an error of ours leaves the connection as it was, and says itself whether a retry helps", () => {
  const errors = [
    new ChatError("UNAVAILABLE", "x"),
    toBeMended(new Error("x")),
    new ChatError("NOT_A_MEMBER", "x"),
  ];
  expect(errors.map(isUsableAfter)).toEqual([true, true, true]);
  expect(errors.map(mayCommitLater)).toEqual([true, true, false]);
});
