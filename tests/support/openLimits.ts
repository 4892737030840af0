import { afterEach, beforeEach, inject } from "vitest";
import { until } from "./client.js";

interface Counted {
  /** Checks that were left out because Redis did not answer in time. */
  readonly count: number;
  /** How often each process has told. */
  readonly exports: Readonly<Record<string, number>>;
}

const ask = async (url: string): Promise<Counted> =>
  (await fetch(`${url}/open-limits`)).json() as Promise<Counted>;

/** What was counted up to now; every process tells it a moment later. */
async function countedBy(url: string): Promise<number> {
  const { exports } = await ask(url);
  let last = await ask(url);
  await until(async () => {
    last = await ask(url);
    return Object.keys(exports).every((process) => last.exports[process]! >= exports[process]! + 2);
  }, "every process has told");
  return last.count;
}

/**
 * For tests of limits: on a busy machine Redis may answer later than the functions wait for it, and then they leave a limit open for a moment, as they should. A test that failed while they did begins anew; one that
 * failed with every limit in force has failed. `url` is where the stack's counts go, those of the shared stack unless told.
 */
export function unlessLimitsWereOpen(url: () => string = () => inject("metrics")): {
  retry: { count: number; condition: () => boolean };
} {
  let before = 0;
  let wereOpen = false;
  beforeEach(async () => {
    before = (await ask(url())).count;
    wereOpen = false;
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") wereOpen = (await countedBy(url())) > before;
  });
  return { retry: { count: 10, condition: () => wereOpen } };
}
