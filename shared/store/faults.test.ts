import { describe, expect, test } from "vitest";
import { type Fault, isToBeMended } from "../platform/errors.js";
import { isFault, tellingFaults } from "./faults.js";

const serverError = (errno: number, code: string, sqlState: string, message = "no") =>
  Object.assign(new Error(message), { errno, code, sqlState });

describe("the server's error", () => {
  test.each<[number, string, string]>([
    [1146, "ER_NO_SUCH_TABLE", "42S02"],
    [1054, "ER_BAD_FIELD_ERROR", "42S22"],
    [1064, "ER_PARSE_ERROR", "42000"],
    [1305, "ER_SP_DOES_NOT_EXIST", "42000"],
    [1176, "ER_KEY_DOES_NOT_EXITS", "42000"],
    [1044, "ER_DBACCESS_DENIED_ERROR", "42000"],
    [1045, "ER_ACCESS_DENIED_ERROR", "28000"],
    [1049, "ER_BAD_DB_ERROR", "42000"],
    [1142, "ER_TABLEACCESS_DENIED_ERROR", "42000"],
    [1143, "ER_COLUMNACCESS_DENIED_ERROR", "42000"],
    [1227, "ER_SPECIFIC_ACCESS_DENIED_ERROR", "42000"],
    [1370, "ER_PROCACCESS_DENIED_ERROR", "42000"],
    [1193, "ER_UNKNOWN_SYSTEM_VARIABLE", "HY000"],
    [1136, "ER_WRONG_VALUE_COUNT_ON_ROW", "21S01"],
    [1267, "ER_CANT_AGGREGATE_2COLLATIONS", "HY000"],
    [1364, "ER_NO_DEFAULT_FOR_FIELD", "HY000"],
    [1820, "ER_MUST_CHANGE_PASSWORD", "HY000"],
    [3118, "ER_ACCOUNT_HAS_BEEN_LOCKED", "HY000"],
    [3159, "ER_SECURE_TRANSPORT_REQUIRED", "HY000"],
    [1665, "ER_BINLOG_STMT_MODE_AND_ROW_ENGINE", "HY000"],
    [1814, "ER_TABLESPACE_DISCARDED", "HY000"],
  ])("%d %s is a fault that no retry mends", (errno, code, state) => {
    expect(isFault(serverError(errno, code, state))).toBe(true);
  });

  test.each<[number, string, string]>([
    [1040, "ER_CON_COUNT_ERROR", "08004"],
    [1203, "ER_TOO_MANY_USER_CONNECTIONS", "42000"],
    [1226, "ER_USER_LIMIT_REACHED", "42000"],
    [1205, "ER_LOCK_WAIT_TIMEOUT", "HY000"],
    [1213, "ER_LOCK_DEADLOCK", "40001"],
    [1290, "ER_OPTION_PREVENTS_STATEMENT", "HY000"],
    [1053, "ER_SERVER_SHUTDOWN", "08S01"],
    [1317, "ER_QUERY_INTERRUPTED", "70100"],
    [1114, "ER_RECORD_FILE_FULL", "HY000"],
    [1062, "ER_DUP_ENTRY", "23000"],
    [1406, "ER_DATA_TOO_LONG", "22001"],
    [1153, "ER_NET_PACKET_TOO_LARGE", "08S01"],
  ])("%d %s is no fault", (errno, code, state) => {
    expect(isFault(serverError(errno, code, state))).toBe(false);
  });

  test.each([undefined, null, "text", new Error("ECONNREFUSED"), { errno: -111, code: "ECONNREFUSED" }])(
    "%o is no fault",
    (error) => expect(isFault(error)).toBe(false),
  );
});

describe("a statement that meets a fault", () => {
  const told: Fault[] = [];
  const ask = (error: Error, sql?: string) =>
    tellingFaults(Promise.reject(error), sql, (fault) => void told.push(fault));

  test("fails with an error that asks nobody to try again, and is told without users' text", async () => {
    told.length = 0;
    const error = serverError(1064, "ER_PARSE_ERROR", "42000", "You have an error near 'secret' at line 1");
    const failure = await ask(error, "SELECT\n   1\n FROM t WHERE x = ?").catch((thrown: unknown) => thrown);
    expect(failure).toMatchObject({ code: "UNAVAILABLE", cause: error });
    expect(String((failure as Error).message)).not.toMatch(/try|again|retry/i);
    expect(isToBeMended(failure)).toBe(true);
    const statement = "SELECT 1 FROM t WHERE x = ?";
    const what = "ER_PARSE_ERROR: You have an error";
    expect(told).toEqual([{ what, statement, kind: `1064 ${statement}`, isOwn: false }]);
  });

  test("is cut where it is long", async () => {
    told.length = 0;
    await ask(serverError(1146, "ER_NO_SUCH_TABLE", "42S02"), "x".repeat(1_000)).catch(() => {});
    expect(told[0]!.statement).toHaveLength(500);
  });

  test("rethrows any other failure as it is", async () => {
    told.length = 0;
    const deadlock = serverError(1213, "ER_LOCK_DEADLOCK", "40001");
    await expect(ask(deadlock, "SELECT 1")).rejects.toBe(deadlock);
    expect(told).toEqual([]);
    expect(isToBeMended(deadlock)).toBe(false);
  });
});
