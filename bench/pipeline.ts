import { LoadGenerator, type RunResult } from "./loadGenerator.js";
import { type Counters, observe, perMessage } from "./observe.js";
import { makeRooms } from "./rooms.js";
import { onTarget, setting, settings, type Target, writeResult } from "./target.js";

const ROOMS = setting("BENCH_ROOMS", 20);
const MEMBERS = setting("BENCH_MEMBERS", 10);
const SECONDS = setting("BENCH_SECONDS", 10);
const RATES = settings("BENCH_RATES", [50, 100, 250, 500, 750, 1_000, 1_250]);
/** After this the compilers of five processes have seen the hot paths. */
const WARM_UP_RATE = 500;
const WARM_UP_SECONDS = 12;

/** Both have the same load, one behind the other, with `BENCH_BUSES=eventhubs,kafka`. */
const BUSES = (process.env["BENCH_BUSES"] ?? "eventhubs").split(",").map((name) => {
  if (name !== "eventhubs" && name !== "kafka") throw new Error(`BENCH_BUSES: ${name} is no bus`);
  return name;
});

interface Row extends RunResult {
  readonly bus: string;
  /** Whether members take several frames in one WebSocket message. */
  readonly packed: boolean;
  readonly each: Counters;
}

/**
 * Open-loop load at rising rates. Members that take one frame a WebSocket message and members that take
 * several have their turns at each rate.
 */
async function measure(target: Target): Promise<readonly Row[]> {
  const sides: { packed: boolean; generator: LoadGenerator }[] = [];
  const rows: Row[] = [];
  try {
    for (const packed of [false, true]) {
      const rooms = await makeRooms(target, ROOMS, MEMBERS);
      const generator = await LoadGenerator.connect({ rooms, webPubSub: target.webPubSub, packed });
      sides.push({ packed, generator });
      await generator.run(WARM_UP_RATE, WARM_UP_SECONDS / 2);
    }
    for (const rate of RATES)
      for (const { packed, generator } of sides) {
        const before = await observe(target);
        const result = await generator.run(rate, SECONDS);
        const row = {
          ...result,
          bus: target.bus,
          packed,
          each: perMessage(before, await observe(target), result.sent),
        };
        rows.push(row);
        print(row);
      }
  } finally {
    await Promise.all(sides.map(({ generator }) => generator.close()));
  }
  return rows;
}

const HEAD =
  "bus        frames  rate/s   sent  deliv/s  lost  rep  dis  err    p50ms    p99ms  growth | per message: upstream  redis   bus   sql  rest | cpu ms by process";
let headed = false;

function print(row: Row): void {
  if (!headed) console.log(`${ROOMS} rooms x ${MEMBERS} members, ${SECONDS} s a rate\n${HEAD}`);
  headed = true;
  const pad = (value: number, width: number, digits = 0): string => value.toFixed(digits).padStart(width);
  const cpu = Object.entries(row.each.cpu).map(([name, ms]) => `${name} ${ms.toFixed(2)}`);
  console.log(
    row.bus.padEnd(11) +
      (row.packed ? "several" : "one    ") +
      pad(row.rate, 7) +
      pad(row.sent, 7) +
      pad(row.deliveredPerSecond, 9) +
      pad(row.lost, 6) +
      pad(row.repeated, 5) +
      pad(row.disordered, 5) +
      pad(row.errors, 5) +
      pad(row.p50, 9, 1) +
      pad(row.p99, 9, 1) +
      pad(row.growth, 8, 2) +
      " |             " +
      pad(row.each.upstreamCalls, 9, 2) +
      pad(row.each.redisCalls, 7, 2) +
      pad(row.each.busSends, 6, 2) +
      pad(row.each.sqlStatements, 6, 2) +
      pad(row.each.restSends, 6, 2) +
      ` | ${cpu.join(", ")}`,
  );
}

/** Of each rate: what Kafka takes for a message, as a ratio to what Event Hubs take. */
function printRatios(rows: readonly Row[]): void {
  const sum = ({ cpu }: Counters): number => Object.values(cpu).reduce((total, ms) => total + ms, 0);
  for (const kafka of rows.filter(({ bus }) => bus === "kafka")) {
    const hubs = rows.find(
      ({ bus, rate, packed }) => bus === "eventhubs" && rate === kafka.rate && packed === kafka.packed,
    );
    if (!hubs) continue;
    const ratio = (pick: (row: Row) => number): string => (pick(kafka) / pick(hubs)).toFixed(2);
    console.log(
      `kafka / eventhubs at ${kafka.rate}/s, ${kafka.packed ? "several frames" : "one frame"}: ` +
        `p50 ${ratio(({ p50 }) => p50)}, p99 ${ratio(({ p99 }) => p99)}, CPU ${ratio(({ each }) => sum(each))}`,
    );
  }
}

const rows: Row[] = [];
for (const bus of BUSES) rows.push(...(await onTarget(measure, {}, bus)));
printRatios(rows);
writeResult("pipeline", { rooms: ROOMS, members: MEMBERS, seconds: SECONDS, rows });
