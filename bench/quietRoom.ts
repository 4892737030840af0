/**
 * What a quiet room feels of another one that is flooded: the quiet one's delay alone, and beside 800 messages a
 * second, in turn. Environment: BENCH_QUIET_RATE, BENCH_FLOOD_RATE, BENCH_SECONDS, BENCH_ROUNDS. Run as a program it
 * prints a table and writes `bench/results/quietRoom.json`.
 */
import { LoadGenerator, type RunResult } from "./loadGenerator.js";
import { makeRooms } from "./rooms.js";
import { median, onTarget, setting, type Target, writeResult } from "./target.js";

const QUIET_RATE = setting("BENCH_QUIET_RATE", 10);
const FLOOD_RATE = setting("BENCH_FLOOD_RATE", 800);
const SECONDS = setting("BENCH_SECONDS", 10);
const ROUNDS = setting("BENCH_ROUNDS", 3);
const MEMBERS = 10;
/** Of several partitions of the hub the quiet rooms are in some, and the flooded one is in one of them. */
const QUIET_ROOMS = 8;

interface Round {
  readonly alone: RunResult;
  readonly beside: RunResult;
  readonly flood: RunResult;
}

async function measure({ webPubSub, ...target }: Target): Promise<readonly Round[]> {
  const join = async (rooms: number): Promise<LoadGenerator> =>
    LoadGenerator.connect({ rooms: await makeRooms({ webPubSub, ...target }, rooms, MEMBERS), webPubSub });
  const [quiet, flooded] = [await join(QUIET_ROOMS), await join(1)];
  try {
    await flooded.run(FLOOD_RATE / 2, 5);
    const rounds: Round[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const alone = await quiet.run(QUIET_RATE, SECONDS);
      const [beside, flood] = await Promise.all([
        quiet.run(QUIET_RATE, SECONDS),
        flooded.run(FLOOD_RATE, SECONDS),
      ]);
      rounds.push({ alone, beside, flood });
    }
    return rounds;
  } finally {
    await Promise.all([quiet.close(), flooded.close()]);
  }
}

const rounds = await onTarget(measure);
const shown = (one: RunResult) => `${one.p50.toFixed(1)}, ${one.p99.toFixed(1)}, lost ${one.lost}`;
console.table(
  rounds.map(({ alone, beside, flood }) => ({
    "alone: p50, p99, ms": shown(alone),
    [`beside ${FLOOD_RATE}/s`]: shown(beside),
    "the flooded one": shown(flood),
    "ratio of the p99s": (beside.p99 / alone.p99).toFixed(2),
  })),
);
const ratio = median(rounds.map(({ alone, beside }) => beside.p99 / alone.p99));
console.log(`a quiet room's p99 beside a flooded one: ${ratio.toFixed(2)} times that of the room alone`);
writeResult("quietRoom", { quietRate: QUIET_RATE, floodRate: FLOOD_RATE, seconds: SECONDS, ratio, rounds });
