import { Redis } from "ioredis";
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { eventsOfHub, observe, ownCpuMs } from "./observe.js";
import type { Target } from "./target.js";

/** What the servers have done so far, of what a capacity model counts. */
export interface Meter {
  /** Calls of the function behind the socket service, those of connections included. */
  readonly upstreamCalls: number;
  /** REST calls of the socket service: sends to groups, and all of them. */
  readonly restSends: number;
  readonly restCalls: number;
  /** Of calls and answers, headers included. */
  readonly upstreamBytes: number;
  readonly restBytes: number;
  readonly messageEvents: number;
  readonly readEvents: number;
  readonly sqlStatements: number;
  /** Of statements and results. */
  readonly sqlBytes: number;
  /** Transactions: for messages and reads each batch is one. */
  readonly transactions: number;
  /** Bytes of the redo log. */
  readonly logBytes: number;
  /** Calls that wait for an answer, most of them of a script, and the commands that those scripts run, too. */
  readonly redisCalls: number;
  readonly redisCommands: number;
  readonly redisBytes: number;
  /** Milliseconds of CPU: of the functions that answer, of those that consume and of the timers, of servers. */
  readonly httpCpuMs: number;
  readonly eventsCpuMs: number;
  readonly mysqlCpuMs: number;
  readonly redisCpuMs: number;
}

const NAMES = [
  "upstreamCalls",
  "restSends",
  "restCalls",
  "upstreamBytes",
  "restBytes",
  "messageEvents",
  "readEvents",
  "sqlStatements",
  "sqlBytes",
  "transactions",
  "logBytes",
  "redisCalls",
  "redisCommands",
  "redisBytes",
  "httpCpuMs",
  "eventsCpuMs",
  "mysqlCpuMs",
  "redisCpuMs",
] as const satisfies readonly (keyof Meter)[];

/** Reads the servers' own counters. */
export async function read(target: Target): Promise<Meter> {
  const [seen, readEvents, ofMysql, redis] = await Promise.all([
    observe(target),
    eventsOfHub(target.eventHubs!, "chat-read-events"),
    status(target.mysql, "Com_commit", "Innodb_os_log_written", "Bytes_received", "Bytes_sent"),
    ofRedis(target.redis),
  ]);
  const [transactions, logBytes, received, sent] = ofMysql as [number, number, number, number];
  const host = target.pids["functionsHost"] ?? 0;
  const both = seen.cpu["functionsHost"] ?? 0;
  const httpCpuMs = ownCpuMs(host);
  return {
    upstreamCalls: seen.upstreamCalls,
    restSends: seen.restSends,
    restCalls: seen.restCalls,
    upstreamBytes: seen.upstreamBytes,
    restBytes: seen.restBytes,
    messageEvents: seen.busSends,
    readEvents,
    sqlStatements: seen.sqlStatements,
    sqlBytes: received + sent,
    transactions,
    logBytes,
    redisCalls: redis.calls,
    redisCommands: seen.redisCalls,
    redisBytes: redis.bytes,
    httpCpuMs,
    eventsCpuMs: both - httpCpuMs,
    mysqlCpuMs: seen.cpu["mysql"] ?? 0,
    redisCpuMs: seen.cpu["redis"] ?? 0,
  };
}

/** What happened between two readings, less what happens in that time anyway, divided by `by`. */
export function between(
  before: Meter,
  after: Meter,
  by: number,
  idle?: { each: Meter; seconds: number },
): Meter {
  const entries = NAMES.map((name) => {
    const background = idle ? idle.each[name] * idle.seconds : 0;
    return [name, Math.round(((after[name] - before[name] - background) / by) * 1_000) / 1_000] as const;
  });
  return Object.fromEntries(entries) as unknown as Meter;
}

/** Values of the server's counters, in the order of their names. */
async function status(url: string, ...names: readonly string[]): Promise<readonly number[]> {
  const connection = await createConnection(url);
  const [rows] = await connection.query<RowDataPacket[]>("SHOW GLOBAL STATUS WHERE variable_name IN (?)", [
    names,
  ]);
  await connection.end();
  const values = new Map(
    rows.map((row) => [String(row["Variable_name"]).toLowerCase(), Number(row["Value"])]),
  );
  return names.map((name) => values.get(name.toLowerCase()) ?? Number.NaN);
}

/** Nearly all that the functions ask of Redis are scripts; `SET` takes a turn, `GET` a version. */
async function ofRedis(url: string): Promise<{ readonly calls: number; readonly bytes: number }> {
  const redis = new Redis(url);
  const info = `${await redis.info("commandstats")}\n${await redis.info("stats")}`;
  redis.disconnect();
  const sum = (pattern: RegExp): number =>
    [...info.matchAll(pattern)].reduce((total, [, count]) => total + Number(count), 0);
  return {
    calls: sum(/^cmdstat_(?:evalsha|eval|set|get):calls=(\d+)/gm),
    bytes: sum(/^total_net_(?:in|out)put_bytes:(\d+)/gm),
  };
}
