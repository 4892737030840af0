/**
 * How long messages are late after the functions were killed (SIGKILL) under load: the stack starts them again, and
 * what was sent meanwhile comes late, not never. Environment: BENCH_RATE, BENCH_ROUNDS. Run as a program it prints a
 * table and writes `bench/results/killed.json`.
 */
import { LoadGenerator } from "./loadGenerator.js";
import { treeOf } from "./observe.js";
import { makeRooms } from "./rooms.js";
import { median, onTarget, setting, type Target, writeResult } from "./target.js";

const RATE = setting("BENCH_RATE", 100);
const ROUNDS = setting("BENCH_ROUNDS", 3);
const [ROOMS, MEMBERS] = [20, 10];
/** In a run: until the kill, and behind it. */
const [BEFORE_S, AFTER_S] = [5, 20];
/** So many times the p99 before the kill still counts as normal. */
const NORMAL = 2;

interface Round {
  readonly lost: number;
  readonly errors: number;
  readonly before: number;
  /** The last second after the kill whose messages were late. */
  readonly secondsLate: number;
  readonly p99BySecond: readonly number[];
}

/** The process that answers, and all that it started. */
function killFunctions({ pids }: Target): void {
  const pid = pids["functionsHost"];
  if (pid === undefined) throw new Error("the stack tells no pid of its functions");
  for (const one of treeOf(pid)) process.kill(one, "SIGKILL");
}

async function measureRound(generator: LoadGenerator, target: Target): Promise<Round> {
  const killing = setTimeout(() => killFunctions(target), BEFORE_S * 1_000);
  try {
    const { lost, errors, p99BySecond } = await generator.run(RATE, BEFORE_S + AFTER_S);
    const before = median(p99BySecond.slice(1, BEFORE_S));
    const late = p99BySecond.slice(BEFORE_S).findLastIndex((p99) => p99 > NORMAL * before);
    return { lost, errors, before, secondsLate: late + 1, p99BySecond };
  } finally {
    clearTimeout(killing);
  }
}

/** Each round has a stack of its own: the pids of a stack are those of its start. */
async function measure(target: Target): Promise<Round> {
  const rooms = await makeRooms(target, ROOMS, MEMBERS);
  const generator = await LoadGenerator.connect({ rooms, webPubSub: target.webPubSub });
  try {
    await generator.run(RATE, 10);
    return await measureRound(generator, target);
  } finally {
    await generator.close();
  }
}

const rounds: Round[] = [];
for (let round = 0; round < ROUNDS; round += 1) rounds.push(await onTarget(measure));
console.table(
  rounds.map(({ lost, errors, before, secondsLate, p99BySecond }) => ({
    lost,
    errors,
    "p99 before, ms": before.toFixed(0),
    "late for, s": secondsLate,
    "longest, ms": Math.max(...p99BySecond).toFixed(0),
  })),
);
writeResult("killed", { rate: RATE, rounds });
