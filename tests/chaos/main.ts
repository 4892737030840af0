/** Breaks a stack and checks what is left: `npm run chaos -- --help`. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Fault } from "./faults/kind.js";
import { fewest } from "./minimize.js";
import { type Options, readOptions, USAGE } from "./options.js";
import { plan } from "./plan.js";
import { runPlanted } from "./planted/runPlanted.js";
import { addToTable, again, isInTable, planText, resultText } from "./report.js";
import { type Result, run } from "./run.js";

const MOST_TRIES = 24;

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
  if (options.planted) return await testChecker(options, options.planted);
  process.once("SIGINT", exit).once("SIGTERM", exit);
  let failed = 0;
  for (const seed of options.seeds) {
    if (options.table !== undefined && isInTable(options.table, seed, options)) continue;
    if (!(await runSeed(seed, options))) failed += 1;
  }
  return failed > 0 ? 1 : 0;
}

/** A signal ends it once its stack is gone, a second one at once. */
async function testChecker(options: Options, names: readonly string[]): Promise<number> {
  const [seed = 1] = options.seeds;
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => {
      stop.abort();
      process.once(signal, exit);
    });
  try {
    return (await runPlanted({ ...options, names, seed, signal: stop.signal })) ? 0 : 1;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    console.error("ended by a signal");
    return 130;
  }
}

/** True where all is well. */
async function runSeed(seed: number, options: Options): Promise<boolean> {
  const faults = plan(seed, options.minutes, options.bus, options.only);
  console.log(`seed ${seed}: ${faults.length} faults in ${options.minutes} min on ${options.bus}`);
  console.log(planText(faults));
  if (options.planOnly) return true;
  const isWell = await runPlan(seed, options, faults);
  if (!isWell && options.minimize) await minimize(seed, options, faults);
  return isWell;
}

async function runPlan(seed: number, options: Options, faults: readonly Fault[]): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), `nonstop-chaos-${seed}-`));
  const start = performance.now();
  const say = (line: string): void =>
    console.log(`  ${((performance.now() - start) / 1_000).toFixed(1).padStart(6)} ${line}`);
  const result = await run({ seed, minutes: options.minutes, bus: options.bus, faults, folder, say }).catch(
    (error: Error) => crashed(error),
  );
  console.log(resultText(result));
  const isWell = result.findings.length === 0;
  if (options.table !== undefined) addToTable(options.table, seed, options, result);
  if (isWell && !options.keep) rmSync(folder, { recursive: true, force: true });
  else console.log(`data, logs and histories: ${folder}`);
  console.log(`seed ${seed}: ${isWell ? "ok" : "FAILED"}`);
  console.log(`again: ${again(seed, options)}`);
  return isWell;
}

/** A run that came to no end. */
function crashed(error: Error): Result {
  const struck = { counts: {}, leftOut: [], failures: [] };
  return { struck, counts: {}, findings: [{ rule: "the run ends", text: error.stack ?? error.message }] };
}

async function minimize(seed: number, options: Options, faults: readonly Fault[]): Promise<void> {
  const fails = async (some: readonly Fault[]): Promise<boolean> => {
    console.log(`with ${some.length} faults:\n${planText(some)}`);
    return !(await runPlan(seed, options, some));
  };
  const few = await fewest(faults, fails, MOST_TRIES);
  console.log(`the fewest faults that still fail, as far as ${MOST_TRIES} tries tell:\n${planText(few)}`);
}

/** Disks are unmounted at the exit. */
function exit(): void {
  process.exit(130);
}

try {
  const args = process.argv.slice(2);
  // npm's own "--" comes along (package.json).
  // Nothing that clients or links have left keeps the machine.
  process.exit(await main(args[0] === "--" ? args.slice(1) : args));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(2);
}
