/**
 * How many connections a second can be opened, by clients that each connect, subscribe to their room, wait for the
 * RECEIPT and close: of users who come for the first time, and of the same users again. Environment: BENCH_USERS,
 * BENCH_AT_ONCE. Run as a program it prints a table and writes `bench/results/handshakes.json`.
 */
import { percentile } from "./loadGenerator.js";
import { type Counters, observe, perMessage } from "./observe.js";
import { makeRooms } from "./rooms.js";
import { openSocket } from "./socket.js";
import { onTarget, setting, type Target, UNLIMITED, writeResult } from "./target.js";

const USERS = setting("BENCH_USERS", 2_000);
const AT_ONCE = setting("BENCH_AT_ONCE", 32);
const MEMBERS = 10;
const ROUNDS = ["first", "again", "again"] as const;

interface Row {
  readonly round: (typeof ROUNDS)[number];
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** For each connection, until it is forgotten. */
  readonly each: Counters;
}

interface Client {
  readonly url: string;
  readonly destination: string;
}

async function measureRound(round: Row["round"], clients: readonly Client[], target: Target): Promise<Row> {
  const times: number[] = [];
  const before = await observe(target);
  const start = performance.now();
  let next = 0;
  const open = async (): Promise<void> => {
    for (let client = clients[next++]; client; client = clients[next++]) {
      const began = performance.now();
      const socket = await openSocket(client.url, [client.destination]);
      times.push(performance.now() - began);
      socket.close();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, open));
  const seconds = (performance.now() - start) / 1_000;
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const each = perMessage(before, await observe(target), clients.length);
  const all = Float64Array.from(times);
  return {
    round,
    perSecond: clients.length / seconds,
    p50: percentile(all, 0.5),
    p99: percentile(all, 0.99),
    each,
  };
}

async function measure(target: Target): Promise<readonly Row[]> {
  const rooms = await makeRooms(target, USERS / MEMBERS, MEMBERS);
  const clients = rooms.flatMap(({ roomId, tokens }) =>
    tokens.map((token) => ({
      url: `${target.webPubSub}?token=${token}`,
      destination: `/sub/chat/room/${roomId}`,
    })),
  );
  const rows: Row[] = [];
  for (const round of ROUNDS) rows.push(await measureRound(round, clients, target));
  return rows;
}

const rows = await onTarget(measure, UNLIMITED);
console.table(
  rows.map(({ round, perSecond, p50, p99, each }) => ({
    round,
    "a second": perSecond.toFixed(0),
    "p50, ms": p50.toFixed(1),
    "p99, ms": p99.toFixed(1),
    upstream: each.upstreamCalls.toFixed(2),
    REST: each.restCalls.toFixed(2),
    SQL: each.sqlStatements.toFixed(1),
    Redis: each.redisCalls.toFixed(1),
    "CPU of the functions, ms": (each.cpu["functionsHost"] ?? Number.NaN).toFixed(2),
    "CPU of all, ms": Object.values(each.cpu)
      .reduce((sum, one) => sum + one, 0)
      .toFixed(2),
  })),
);
writeResult("handshakes", { users: USERS, atOnce: AT_ONCE, rows });
