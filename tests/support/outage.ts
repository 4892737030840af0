import { expect } from "vitest";
import { until } from "./client.js";
import {
  beginLoad,
  expectNothingLost,
  type Load,
  type Running,
  SOME,
  showsAgain,
  someMore,
  storedOf,
  storesAgain,
} from "./load.js";

/** A stack of which this may kill a server. */
export interface Killable extends Running {
  /** Kills the server that is to go. */
  kill(): void;
  /** Which process is that server now; another one when it has been started again. */
  pid(): number | undefined;
}

/**
 * Kills a server so many times while four users write. What had its RECEIPT must be stored once, in each
 * sender's order and without a gap, and afterwards messages must be shown again. Returns how many messages
 * were stored.
 */
export async function loseNothing(stack: Killable, times = 2): Promise<number> {
  const load = await beginLoad(stack);
  await someMore(load);
  for (let time = 0; time < times; time += 1) await killAndGoOn(stack, load);
  await load.stop();
  const stored = await storedOf(load);
  expectNothingLost(load, stored);
  for (const due of load.accepted) expect(due.length).toBeGreaterThanOrEqual((times + 1) * SOME);
  await showsAgain(load, stored.length);
  return stored.length;
}

/** Returns when the server runs again, each sender is heard, and something sent since is stored. */
async function killAndGoOn(stack: Killable, load: Load): Promise<void> {
  const killed = stack.pid();
  stack.kill();
  await until(() => stack.pid() !== killed, "it is started again");
  await someMore(load);
  await storesAgain(load);
}
