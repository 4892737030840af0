/**
 * Guards what a message costs the deployed code: the instructions that a client's frame, and an event that is stored
 * and shown, take from the call to the services, which answer at once, and what is asked of them. Compares with
 * `bench/cost/usual.json` and ends with 1 where something has doubled, or is asked more often. `--record` writes what
 * is found as the usual; `--cpu` leaves Valgrind out.
 *
 * Instructions are counted by Valgrind where it is installed, of two runs of different length, so that starting the
 * program falls out of their difference. Elsewhere CPU time is compared with that of a fixed work beside it.
 */
import { spawn, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Calls } from "./cost/services.js";

const USUAL = "bench/cost/usual.json";
const WORK = fileURLToPath(new URL("cost/work.js", import.meta.url));
const NAMES = ["frame", "event"] as const;
type Name = (typeof NAMES)[number];

/**
 * Multiples of a batch's events. The first messages meet what happens once: up to 250 of them Node 22 spends as much on
 * that as on the messages.
 */
const [FEW, MANY] = [400, 1_600];
const MANY_CALLS = 4_000;
const DOUBLED = 2;
/** So that two runs differ in nothing but their work. */
const STEADY = ["--jitless", "--single-threaded", "--hash-seed=1", "--random-seed=1"];
const RUN_MS = 600_000;

interface Cost {
  /** Of one message. */
  readonly instructions?: number;
  /** The CPU of one message, in pieces of the fixed work. */
  readonly pieces?: number;
  /** Of a hundred messages. */
  readonly calls: Calls;
}
type Costs = Readonly<Record<Name, Cost>>;

const { values } = parseArgs({
  options: { record: { type: "boolean", default: false }, cpu: { type: "boolean", default: false } },
});
const hasValgrind = !values.cpu && spawnSync("valgrind", ["--version"]).status === 0;
const major = process.version.split(".")[0]!;

async function instructionsOf(name: Name): Promise<number> {
  const [few, many] = await Promise.all([FEW, MANY].map((messages) => counted(name, messages)));
  return Math.round((many! - few!) / (MANY - FEW));
}

/** The instructions of a whole run. */
async function counted(name: Name, messages: number): Promise<number> {
  const tool = ["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"];
  const { stderr } = await run("valgrind", [
    ...tool,
    process.execPath,
    ...STEADY,
    WORK,
    name,
    String(messages),
  ]);
  const found = /I\s+refs:\s+([\d,]+)/.exec(stderr)?.[1];
  if (!found) throw new Error(`valgrind has not counted: ${stderr.slice(-500)}`);
  return Number(found.replaceAll(",", ""));
}

async function callsOf(name: Name): Promise<Calls> {
  return JSON.parse((await run(process.execPath, [WORK, name, "100"])).stdout) as Calls;
}

async function piecesOf(name: Name): Promise<number> {
  return Number((await run(process.execPath, [WORK, name, String(MANY_CALLS), "--cpu"])).stdout);
}

function run(program: string, args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], timeout: RUN_MS });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
    child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve({ stdout, stderr });
      else reject(new Error(`${program} ended with ${code}: ${stderr.slice(-2_000)}`));
    });
  });
}

async function measure(): Promise<Costs> {
  const costs: [Name, Cost][] = [];
  for (const name of NAMES) {
    const calls = await callsOf(name);
    const cost = hasValgrind
      ? { instructions: await instructionsOf(name) }
      : { pieces: await piecesOf(name) };
    costs.push([name, { ...cost, calls }]);
  }
  return Object.fromEntries(costs) as unknown as Costs;
}

/** What is worse than usual, one line each. */
function worse(now: Costs, usual: Costs): readonly string[] {
  return NAMES.flatMap((name) => {
    const [is, was] = [now[name], usual[name]];
    const lines = (["instructions", "pieces"] as const).flatMap((unit) => {
      const [one, other] = [is[unit], was[unit]];
      if (one === undefined || other === undefined) return [];
      const ratio = one / other;
      console.log(`${name}: ${one} ${unit} a message, ${ratio.toFixed(2)} times the usual ${other}`);
      return ratio >= DOUBLED
        ? [`${name} takes ${ratio.toFixed(1)} times as many ${unit} as it usually does`]
        : [];
    });
    const services = Object.keys(was.calls) as (keyof Calls)[];
    const more = services.filter((service) => is.calls[service] > was.calls[service]);
    return [
      ...lines,
      ...more.map(
        (service) =>
          `${name} asks ${service} ${is.calls[service]} times for 100 messages, and usually ${was.calls[service]} times`,
      ),
    ];
  });
}

type Usual = Record<string, Record<string, Partial<Cost>>>;
const readUsual = (): Usual => JSON.parse(readFileSync(USUAL, "utf8")) as Usual;

/** A figure of one way to measure stays when the other way is recorded. */
function record(now: Costs, usual: Usual): void {
  const before = usual[major] ?? {};
  const costs = NAMES.map((name) => [name, { ...before[name], ...now[name] }] as const);
  const text = JSON.stringify({ ...usual, [major]: Object.fromEntries(costs) }, null, 2);
  writeFileSync(USUAL, `${text}\n`);
}

const usual = readUsual();
const now = await measure();
const known = usual[major];
if (values.record) {
  record(now, usual);
  console.log(`written to ${USUAL}, for Node ${major}`);
} else if (!known) {
  console.log(`${USUAL} has nothing for Node ${major}, so nothing was compared: --record`);
} else {
  const found = worse(now, known as Costs);
  for (const line of found) console.error(line);
  if (found.length > 0)
    console.error("If that is meant to be so: npm run bench -- cost --record, and say why.");
  process.exitCode = found.length > 0 ? 1 : 0;
}
