import { beforeEach, inject } from "vitest";
import { until } from "./client.js";
import { doesNotCountIf } from "./late.js";

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
  const haveTold = async (): Promise<boolean> => {
    last = await ask(url);
    return Object.keys(exports).every((process) => last.exports[process]! >= exports[process]! + 2);
  };
  // One that has ended has told all it knew.
  await until(haveTold, "every process has told", 20_000).catch(() => {});
  return last.count;
}

/**
 * For tests of limits, with `UNLESS_LATE`. On a busy machine Redis may answer later than the functions wait
 * for it; the functions then leave a limit open for a moment, as they should. A failure does not count if
 * that happened during the test, nor, with `withinMs`, if the test ran for longer: what it counts was not in
 * one window then. `url` is where the stack's counts go, those of the shared stack unless told.
 */
export function unlessLimitsAreOpen(
  url: () => string = () => inject("metrics"),
  withinMs = Number.POSITIVE_INFINITY,
): void {
  let before = 0;
  let began = 0;
  beforeEach(async () => {
    before = (await ask(url())).count;
    began = Date.now();
  });
  doesNotCountIf(async () => {
    if (Date.now() - began > withinMs) return "it took longer than the window of the limits";
    return (await countedBy(url())) > before ? "limits were open meanwhile" : undefined;
  });
}
