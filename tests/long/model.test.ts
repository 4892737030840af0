import fc from "fast-check";
import { test } from "vitest";
import { type Act, rounds } from "../support/model/acts.js";
import { compareAll } from "../support/model/compare.js";
import { drive, endRun, startRun } from "../support/model/drive.js";
import { checkInvariants } from "../support/model/invariants.js";
import { commandOf, type Step, steps } from "../support/model/steps.js";
import { begin, endTogether, idle, startTogether } from "../support/model/together.js";

/**
 * The whole stack against a model of it. `MODEL_RUNS` runs of each property, in at most `MODEL_SECONDS` each, shrinking
 * included; `MODEL_SEED` and `MODEL_PATH`, which a failure prints as seed and path, repeat one.
 */
const setting = (name: string, usual: number): number => Number(process.env[name] ?? usual);
const RUNS = setting("MODEL_RUNS", 30);
const SECONDS = setting("MODEL_SECONDS", 35);
const path = process.env["MODEL_PATH"];
const parameters = {
  numRuns: RUNS,
  seed: setting("MODEL_SEED", 20_260_101),
  ...(path === undefined ? {} : { path }),
  endOnFailure: process.env["MODEL_SHRINK"] === "0",
};

const COMPARE_EVERY = 9;

/** Runs that begin after the time is up count as passed: that also ends shrinking with the smallest failure so far. */
async function check<T>(arbitrary: fc.Arbitrary<T>, holds: (value: T) => Promise<void>): Promise<void> {
  const end = Date.now() + SECONDS * 1_000;
  const property = fc.asyncProperty(arbitrary, async (value) => {
    if (Date.now() < end) await holds(value);
  });
  await fc.assert(property, parameters);
}

test("whatever users do one after the other, everybody sees what the model says", async () => {
  await check(steps, oneAfterTheOther);
});

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

test("whatever users do at the same time, what everybody sees fits together", async () => {
  await check(rounds, together);
});

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
