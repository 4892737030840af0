import fc from "fast-check";
import { expect } from "vitest";
import { SEED } from "../seed.js";
import { type Act, rounds } from "./acts.js";
import { compareAll } from "./compare.js";
import { drive, endRun, startRun } from "./drive.js";
import { checkInvariants } from "./invariants.js";
import { commandOf, type Step, steps } from "./steps.js";
import { begin, endTogether, idle, startTogether } from "./together.js";

/** How long one property is tried. The environment's `MODEL_RUNS` and `MODEL_SECONDS` count instead. */
export interface Bounds {
  readonly mostRuns: number;
  /** A run may begin within this time, one of shrinking too. */
  readonly seconds: number;
  /** These are made, whatever time they take. */
  readonly leastRuns: number;
}

const COMPARE_EVERY = 9;

/** What users do one after the other: everybody sees what the model says. */
export const checkOneAfterTheOther = (bounds: Bounds): Promise<void> =>
  check(steps, oneAfterTheOther, bounds);

/** What users do at the same time: what everybody sees fits together. */
export const checkTogether = (bounds: Bounds): Promise<void> => check(rounds, together, bounds);

/**
 * Skips runs that would begin after the time is up, once the least number was made. Skipped runs are not
 * counted. Skipping also ends shrinking, with the smallest failure so far. A failure prints its seed and
 * path: `SEED` and `MODEL_PATH` repeat it. `MODEL_SHRINK=0` turns shrinking off.
 */
async function check<T>(
  arbitrary: fc.Arbitrary<T>,
  holds: (value: T) => Promise<void>,
  { mostRuns, seconds, leastRuns }: Bounds,
): Promise<void> {
  const end = Date.now() + 1_000 * setting("MODEL_SECONDS", seconds);
  const numRuns = setting("MODEL_RUNS", mostRuns);
  const path = process.env["MODEL_PATH"];
  const least = path === undefined ? Math.min(leastRuns, numRuns) : 1;
  let runs = 0;
  const property = fc.asyncProperty(arbitrary, async (value) => {
    if (runs >= least && Date.now() > end) return;
    runs += 1;
    await holds(value);
  });
  await fc.assert(property, {
    numRuns,
    seed: SEED,
    ...(path === undefined ? {} : { path }),
    endOnFailure: process.env["MODEL_SHRINK"] === "0",
  });
  console.log(`${runs} runs of the model, at least ${least}, SEED=${SEED}`);
  expect(runs).toBeGreaterThanOrEqual(least);
}

const setting = (name: string, usual: number): number => Number(process.env[name] ?? usual);

async function oneAfterTheOther(all: readonly Step[]): Promise<void> {
  const run = await startRun();
  try {
    const [a, b, c] = run.world.users.map(({ userId }) => userId);
    await drive(run, { does: "createGroup", by: a!, name: "first", users: [b!, c!] });
    await drive(run, { does: "openDirect", by: a!, other: b! });
    let done = 0;
    for (const step of all) {
      const command = commandOf(step, run.world, done);
      if (!command) continue;
      await drive(run, command);
      done += 1;
      if (done % COMPARE_EVERY === 0) await compareAll(run);
    }
    await compareAll(run);
  } catch (error) {
    throw new Error(`${(error as Error).message}\nafter\n${run.log.join("\n")}`, { cause: error });
  } finally {
    await endRun(run);
  }
}

async function together(all: readonly (readonly Act[])[]): Promise<void> {
  const run = await startTogether();
  try {
    let count = 0;
    for (const acts of all) {
      for (const act of acts) begin(run, act, ++count);
      await idle(run);
    }
    await checkInvariants(run);
  } catch (error) {
    throw new Error(`${(error as Error).message}\nafter\n${run.log.join("\n")}`, { cause: error });
  } finally {
    await endTogether(run);
  }
}
