import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readAuthSettings } from "../../local/settings.js";
import type { StackApp } from "../../local/stackServers.js";
import { signToken } from "../../local/tokens.js";
import { check, type Finding } from "./checker/check.js";
import type { Rates } from "./clients/acts.js";
import type { DatabaseAddress, Target } from "./clients/target.js";
import { startWorld, type World } from "./clients/world.js";
import { diskFull } from "./faults/diskFull.js";
import { type Fault, type Machine, NotHere } from "./faults/kind.js";
import { randomOf } from "./random.js";
import { type Struck, strike } from "./schedule.js";
import { type CutAt, untilOutboxesEmpty, untilStored } from "./settle.js";
import type { BusName } from "./stack/names.js";
import { addressesOf, type Stack, startStack } from "./stack/stack.js";
import { unlessAborted } from "./wait.js";

const QUIET_MS = 120_000;
/** Where no client hears or says anything for this long, nothing is on its way. */
const STILL_MS = 2_000;
const SETTLE_MS = 180_000;
/** By the second. Two cores catch up with so much after each fault. */
const RATES: Partial<Rates> = { sends: 8, reads: 3 };
const PATIENCE_MS = 300_000;
/** The clients' tokens outlive a run. */
const TOKEN_S = 7_200;

export interface RunOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly bus: BusName;
  readonly faults: readonly Fault[];
  /** Gets data, logs, histories and the plan. */
  readonly folder: string;
  readonly say: (line: string) => void;
  /** What the hosts run, if it is not the project as it was built. */
  readonly app?: StackApp;
  /** Nothing is disturbed, so the checker excuses nothing. */
  readonly calm?: boolean;
  readonly rates?: Partial<Rates>;
  /** How long what was sent may take at the end to be stored, and to empty outboxes. */
  readonly settleMs?: number;
  /** How long the clients may take, twice: to see the rest, and to look at everything once more. */
  readonly patienceMs?: number;
  /** Ends the run, and all that it started. */
  readonly signal?: AbortSignal;
}

export interface Result {
  readonly struck: Struck;
  readonly counts: Readonly<Record<string, number>>;
  readonly findings: readonly Finding[];
}

/** Starts a stack and its clients, makes the faults, and checks what is left. Throws where nothing can be said. */
export async function run(options: RunOptions): Promise<Result> {
  const { seed, folder, bus, say, app, signal } = options;
  writeFileSync(join(folder, "plan.json"), `${JSON.stringify(options, null, 2)}\n`);
  say("starting the stack");
  const smallDisks = options.faults.filter(({ kind }) => kind === diskFull.name).map(({ target }) => target);
  const data = join(folder, "stack");
  const stack = await startStack({
    folder: data,
    bus,
    random: randomOf(seed + 1),
    smallDisks,
    app,
    signal,
    say,
  });
  try {
    return await unlessAborted(runOn(stack, options), signal);
  } finally {
    await stack.close();
  }
}

async function runOn(stack: Stack, options: RunOptions): Promise<Result> {
  const { seed, say, faults, minutes, calm = false, rates = RATES } = options;
  const { patienceMs = PATIENCE_MS } = options;
  const histories = join(options.folder, "histories");
  mkdirSync(histories, { recursive: true });
  const target = targetOf(stack);
  say("starting the clients");
  const world = await startWorld({
    target,
    seed,
    folder: histories,
    log: say,
    patienceMs,
    calm,
    rates,
  });
  const cutAt: CutAt = new Map();
  const struck = await strike(faults, minutes * 60_000, machineOf(stack, world, cutAt, say));
  await heal(stack);
  const left = await finish(stack, world, cutAt, options);
  say("checking");
  const checked = await check(histories, target.database);
  const failures = [...struck.failures, ...left].map((text) => ({ rule: "comes to rest", text }));
  const counts = { ...world.counts(), ...checked.counts };
  return { struck, counts, findings: [...failures, ...checked.findings] };
}

async function heal({ parts, links, front }: Stack): Promise<void> {
  front.tamper = undefined;
  for (const link of Object.values(links)) {
    link.watch = undefined;
    await link.heal();
  }
  await Promise.all(Object.values(parts).map((part) => part.up()));
}

/** Returns what does not come to rest. */
async function finish(
  stack: Stack,
  world: World,
  cutAt: CutAt,
  { say, patienceMs = PATIENCE_MS, settleMs = SETTLE_MS }: RunOptions,
): Promise<readonly string[]> {
  say("all faults are over, the clients finish");
  // A stream that stands for a while looks like one that is done: clients take their last look after that.
  await world.hold();
  await untilStored(stack, cutAt, settleMs);
  const finishMs = 2 * patienceMs + 60_000;
  const late = Symbol("late");
  const ended = await Promise.race([world.finish(), after(finishMs, late)]);
  const stored = await untilStored(stack, cutAt, settleMs);
  const outboxes = await untilOutboxesEmpty(stack, settleMs);
  const clients = ended === late ? [`the clients did not finish within ${finishMs / 1_000} s`] : [];
  return [...clients, ...stored, ...outboxes];
}

function after<T>(ms: number, value: T): Promise<T> {
  return new Promise((resolve) => setTimeout(resolve, ms, value).unref());
}

function machineOf(stack: Stack, world: World, cutAt: CutAt, say: (line: string) => void): Machine {
  return {
    stack,
    cutAt,
    say,
    cutClients: () => world.kill(),
    quiet: () => quiet(stack, world, cutAt),
    isAllStored: async () => (await untilStored(stack, cutAt, 0)).length === 0,
  };
}

/** Leaves a fault out that needs a system at rest, where there is none in time. */
async function quiet(stack: Stack, world: World, cutAt: CutAt): Promise<() => void> {
  const release = await world.hold();
  const end = performance.now() + QUIET_MS;
  let [before, after] = ["", "-"];
  // What was sent before may still come.
  while (before !== after && performance.now() < end) {
    before = JSON.stringify(world.counts());
    const waiting = await untilStored(stack, cutAt, end - performance.now());
    if (waiting.length > 0) break;
    await sleep(STILL_MS);
    after = JSON.stringify(world.counts());
  }
  if (before === after) return release;
  release();
  throw new NotHere(`the system did not come to rest within ${QUIET_MS / 1_000} s`);
}

function targetOf(stack: Stack): Target {
  const auth = readAuthSettings(process.env);
  return {
    ...addressesOf(stack),
    token: (user) => signToken(auth, { userId: Number(user), nickname: `user ${user}` }, TOKEN_S),
    database: databaseOf(stack),
  };
}

function databaseOf({ ports }: Stack): DatabaseAddress {
  return { host: "127.0.0.1", port: ports.parts.mysql, user: "chat", password: "chat", database: "chat" };
}
