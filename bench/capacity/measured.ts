import type { Calls } from "./data.js";
import type { Values } from "./formula.js";

/**
 * What the bench has counted, by the names that the formulae use. A batch of one event and a batch of several
 * tell what a batch costs and what each event in it does: cost = batch / events + event.
 */
export function measured(calls: Calls): Values {
  const shape = (name: string) => {
    const found = calls.shapes.find((one) => one.name === name);
    if (!found) throw new Error(`bench/results/calls.json has no ${name}: run npm run bench -- calls`);
    return found;
  };
  const [few, most] = [shape("few messages"), shape("most messages")];
  if (most.eventsABatch < 2 * few.eventsABatch)
    throw new Error("the batches of most messages are too small: say a higher BENCH_TOP_RATE");
  const pair = shape("few messages and reads");
  const stormOf = (isPacked: boolean) => calls.storms.filter(({ packed }) => packed === isPacked);
  const split = (name: "sqlStatements" | "eventsCpuMs" | "mysqlCpuMs"): { batch: number; event: number } => {
    const [one, other] = [few.each[name], most.each[name]];
    const batch = (one - other) / (1 / few.eventsABatch - 1 / most.eventsABatch);
    return { batch: rounded(batch), event: rounded(Math.max(0, other - batch / most.eventsABatch)) };
  };
  const [sql, cpu, mysql] = [split("sqlStatements"), split("eventsCpuMs"), split("mysqlCpuMs")];
  return {
    messageRest: Math.ceil(few.each.restSends),
    messageRedis: few.each.redisCalls,
    httpCpuMs: few.each.httpCpuMs,
    batchSql: sql.batch,
    eventSql: sql.event,
    batchCpuMs: cpu.batch,
    eventCpuMs: cpu.event,
    batchMysqlMs: mysql.batch,
    eventMysqlMs: mysql.event,
    readRedis: rounded(pair.each.redisCalls - few.each.redisCalls),
    readRest: rounded(Math.max(...stormOf(false).map((one) => one.sendsAMessage / (one.members - 1)))),
    readRestPacked: Math.max(...stormOf(true).map(({ sendsAMessage }) => sendsAMessage)),
    connectionUpstream: calls.connection.upstreamCalls,
    connectionRest: rounded(calls.connection.restCalls),
    connectionSql: calls.connection.sqlStatements,
    connectionRedis: calls.connection.redisCalls,
    connectionMysqlMs: calls.connection.mysqlCpuMs,
    connectionTransactions: calls.connection.transactions,
    subscriptionUpstream: calls.subscription.upstreamCalls,
    subscriptionRest: calls.subscription.restCalls,
    subscriptionSql: calls.subscription.sqlStatements,
    subscriptionRedis: calls.subscription.redisCalls,
    subscriptionMysqlMs: calls.subscription.mysqlCpuMs,
    messageFrameBytes: calls.bytes.messageFrame - calls.bytes.content,
    messageEventBytes: calls.bytes.messageEvent - calls.bytes.content,
    readEventBytes: calls.bytes.readEvent,
    messageRowBytes: calls.bytes.messageRow - ROW_CONTENT,
    memberRowBytes: calls.bytes.memberRow,
    redisUserBytes: calls.bytes.redisUser,
    redisMemberBytes: calls.bytes.redisMember,
  };
}

/** Bytes of content of the rows whose size was measured (`bench/largeData.ts`). */
const ROW_CONTENT = 66;

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000;
