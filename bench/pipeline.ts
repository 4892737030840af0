import { parseArgs } from "node:util";
import { LoadGenerator } from "./loadGenerator.js";
import { measureMachine } from "./machine.js";
import { type Counters, cpuMs, memoryMb, observe, ownCpuMs, perMessage } from "./observe.js";
import { HEAD, type Row, ratios, rowText, type Side } from "./pipelineTable.js";
import { type RabbitMq, startRabbitMq } from "./rabbitmq.js";
import { makeRooms } from "./rooms.js";
import { onTarget, setting, settings, type Target, writeResult } from "./target.js";

const ROOMS = setting("BENCH_ROOMS", 20);
const MEMBERS = setting("BENCH_MEMBERS", 10);
const SECONDS = setting("BENCH_SECONDS", 10);
const RATES = settings("BENCH_RATES", [50, 100, 250, 500, 750, 1_000, 1_250]);
/** After this the compilers of five processes have seen the hot paths. */
const WARM_UP_RATE = 500;
const WARM_UP_SECONDS = 12;
/** The rate of a load that comes first after a start. */
const COLD_RATE = 500;

/** Both have the same load, one behind the other, with `BENCH_BUSES=eventhubs,kafka`. */
const BUSES = (process.env["BENCH_BUSES"] ?? "eventhubs").split(",").map((name) => {
  if (name !== "eventhubs" && name !== "kafka") throw new Error(`BENCH_BUSES: ${name} is no bus`);
  return name;
});

const USAGE = "usage: npm run bench -- pipeline [--beside rabbitmq] [--warm] [--cold]";

/** Of `--warm` and `--cold` both where neither is named. */
interface Options {
  readonly beside: boolean;
  readonly warm: boolean;
  readonly cold: boolean;
}

function readOptions(args: readonly string[]): Options {
  try {
    const options = {
      beside: { type: "string" },
      warm: { type: "boolean", default: false },
      cold: { type: "boolean", default: false },
    } as const;
    const { beside, warm, cold } = parseArgs({ args: [...args], options }).values;
    if (beside !== undefined && beside !== "rabbitmq") throw new Error(`there is no ${beside} to run beside`);
    return { beside: beside !== undefined, warm: warm || !cold, cold: cold || !warm };
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    process.exit(2);
  }
}

/** One who takes the load, and what its servers have done so far. */
interface Taker {
  readonly side: Side;
  readonly generator: LoadGenerator;
  observe(): Promise<Counters>;
  readonly pids: Readonly<Record<string, number>>;
}

async function ours(target: Target, packed: boolean): Promise<Taker> {
  const rooms = await makeRooms(target, ROOMS, MEMBERS);
  const generator = await LoadGenerator.connect({ rooms, webPubSub: target.webPubSub, packed });
  return { side: packed ? "several" : "one", generator, observe: () => observe(target), pids: target.pids };
}

async function theirs({ wire, pid }: RabbitMq, target: Target): Promise<Taker> {
  const rooms = await makeRooms(target, ROOMS, MEMBERS);
  const generator = await LoadGenerator.connect({ rooms, webPubSub: "", wire });
  const nothing = {
    upstreamCalls: Number.NaN,
    restSends: Number.NaN,
    restCalls: Number.NaN,
    upstreamBytes: Number.NaN,
    restBytes: Number.NaN,
    busSends: Number.NaN,
    sqlStatements: Number.NaN,
    redisCalls: Number.NaN,
  };
  const cpu = () => ({ rabbitmq: cpuMs(pid), bench: ownCpuMs(process.pid) });
  return {
    side: "rabbitmq",
    generator,
    observe: async () => ({ ...nothing, cpu: cpu() }),
    pids: { rabbitmq: pid },
  };
}

/** A load at one rate, printed. */
async function run(taker: Taker, rate: number, bus: string, cold: boolean): Promise<Row> {
  const before = await taker.observe();
  const result = await taker.generator.run(rate, SECONDS);
  const each = perMessage(before, await taker.observe(), result.sent);
  const row = {
    ...result,
    bus: taker.side === "rabbitmq" ? "-" : bus,
    side: taker.side,
    cold,
    each,
    memoryMb: memoryMb(taker.pids),
  };
  console.log(rowText(row));
  return row;
}

/** Open-loop load at rising rates. All takers have their turns at each rate. */
async function measureWarm(target: Target, rabbitMq: RabbitMq | undefined): Promise<readonly Row[]> {
  const takers: Taker[] = [];
  const rows: Row[] = [];
  try {
    const making = [
      () => ours(target, false),
      () => ours(target, true),
      ...(rabbitMq ? [() => theirs(rabbitMq, target)] : []),
    ];
    for (const make of making) {
      const taker = await make();
      takers.push(taker);
      await taker.generator.run(WARM_UP_RATE, WARM_UP_SECONDS / 2);
    }
    for (const rate of RATES)
      for (const taker of takers) rows.push(await run(taker, rate, target.bus, false));
  } finally {
    await Promise.all(takers.map(({ generator }) => generator.close()));
  }
  return rows;
}

/** The first load of servers that have just been started. */
async function measureCold(target: Target): Promise<Row> {
  const taker = await ours(target, false);
  try {
    return await run(taker, COLD_RATE, target.bus, true);
  } finally {
    await taker.generator.close();
  }
}

async function measure({ beside, warm, cold }: Options): Promise<readonly Row[]> {
  const rows: Row[] = [];
  const rabbitMq = beside ? await startRabbitMq() : undefined;
  try {
    if (rabbitMq) console.log(`beside RabbitMQ ${rabbitMq.version}, Web STOMP, which stores nothing`);
    console.log(
      `${ROOMS} rooms x ${MEMBERS} members, ${SECONDS} s a rate; * is the first load after a start`,
    );
    console.log(HEAD);
    for (const bus of BUSES) {
      if (cold) rows.push(await onTarget(measureCold, {}, bus));
      if (warm) rows.push(...(await onTarget((target) => measureWarm(target, rabbitMq), {}, bus)));
    }
  } finally {
    await rabbitMq?.close();
  }
  return rows;
}

const options = readOptions(process.argv.slice(2));
const machine = measureMachine();
if (machine.warning) console.log(`WARNING: ${machine.warning}`);
const rows = await measure(options);
for (const text of ratios(rows)) console.log(text);
writeResult("pipeline", { noise: machine, rooms: ROOMS, members: MEMBERS, seconds: SECONDS, rows });
