/**
 * What a message costs in rooms of different sizes, at one rate and in turn on one warm stack, so that only the number
 * of members differs: nothing but what goes out to members may grow. Environment: BENCH_RATE, BENCH_SECONDS. Run as a
 * program it prints a table and writes `bench/results/members.json`.
 */
import { LoadGenerator, type RunResult } from "./loadGenerator.js";
import { type Counters, observe, perMessage } from "./observe.js";
import { makeRooms } from "./rooms.js";
import { onTarget, setting, type Target, UNLIMITED, writeResult } from "./target.js";

const RATE = setting("BENCH_RATE", 5);
const SECONDS = setting("BENCH_SECONDS", 20);
const ROOMS = 2;
const SIZES = [10, 100, 1_000];
/** The first of them warms up what only large rooms do. */
const ROUNDS = 2;

interface Row extends RunResult {
  readonly members: number;
  readonly each: Counters;
}

async function measure(target: Target): Promise<readonly Row[]> {
  const generators: { readonly members: number; readonly generator: LoadGenerator }[] = [];
  for (const members of SIZES) {
    const rooms = await makeRooms(target, ROOMS, members);
    const generator = await LoadGenerator.connect({ rooms, webPubSub: target.webPubSub });
    generators.push({ members, generator });
  }
  try {
    await generators[0]!.generator.run(20 * RATE, 15);
    let rows: Row[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      rows = [];
      for (const { members, generator } of generators) {
        await generator.run(RATE, 5);
        const before = await observe(target);
        const result = await generator.run(RATE, SECONDS);
        rows.push({ members, ...result, each: perMessage(before, await observe(target), result.sent) });
      }
    }
    return rows;
  } finally {
    await Promise.all(generators.map(({ generator }) => generator.close()));
  }
}

const rows = await onTarget(measure, UNLIMITED);
console.table(
  rows.map(({ members, lost, p50, p99, each }) => ({
    members,
    lost,
    "p50, p99, ms": `${p50.toFixed(1)}, ${p99.toFixed(1)}`,
    "SQL, REST, Redis": `${each.sqlStatements.toFixed(1)}, ${each.restSends.toFixed(1)}, ${each.redisCalls.toFixed(1)}`,
    "CPU, ms": Object.entries(each.cpu)
      .map(([name, ms]) => `${name} ${ms.toFixed(1)}`)
      .join(", "),
  })),
);
writeResult("members", { rate: RATE, seconds: SECONDS, rooms: ROOMS, rows });
