/**
 * Compares the delays of messages with and without read events beside them, in one run. Then measures what
 * one read event costs in rooms of different sizes when every member reads each message. Run as a program it
 * prints the result and writes it to `bench/results/reads.json`.
 */
import { fileURLToPath } from "node:url";
import type { RowDataPacket } from "mysql2/promise";
import { type Database, openDatabase } from "../shared/store/database.js";
import { insertRooms, withLoader } from "./largeData.js";
import { LoadGenerator, type RunResult } from "./loadGenerator.js";
import { type Counters, observe, perMessage } from "./observe.js";
import {
  median,
  newUserIds,
  onTarget,
  setting,
  settings,
  type Target,
  tokenFor,
  until,
  writeResult,
} from "./target.js";

const ROOMS = setting("BENCH_ROOMS", 20);
const MEMBERS = setting("BENCH_MEMBERS", 10);
const SECONDS = setting("BENCH_SECONDS", 10);
const ROUNDS = setting("BENCH_ROUNDS", 3);
const MESSAGE_RATE = setting("BENCH_MESSAGE_RATE", 500);
const READ_RATE = setting("BENCH_READ_RATE", 500);
const STORM_MEMBERS = settings("BENCH_STORM_MEMBERS", [10, 100, 1_000]);
const STORM_MESSAGES = setting("BENCH_STORM_MESSAGES", 5);
/** After this the compilers of five processes have seen the hot paths. */
const WARM_UP_SECONDS = 12;
const SETTLE_MS = 15_000;

export interface LoadRow extends RunResult {
  readonly readRate: number;
  readonly each: Counters;
  /** Members whose stored position is not the one that their messages and reads lead to. */
  readonly wrongPositions: number;
  readonly allShown: boolean;
}

export interface StormRow {
  readonly members: number;
  readonly messages: number;
  readonly reads: number;
  readonly wrongPositions: number;
  readonly allShown: boolean;
  /** From the message until the last of its reads is shown; the median over the messages. */
  readonly seconds: number;
  /**
   * For each read event: sends to the room's `/read`, then the frames, moves and bytes that each member gets.
   */
  readonly sendsPerRead: number;
  readonly framesPerRead: number;
  readonly movesPerRead: number;
  readonly bytesPerRead: number;
}

export interface Result {
  readonly load: readonly LoadRow[];
  readonly p99: { readonly without: number; readonly with: number; readonly ratio: number };
  readonly storms: readonly StormRow[];
}

export async function run(): Promise<Result> {
  return onTarget(async (target) => {
    const database = openDatabase(target.mysql);
    try {
      const load = await measureLoad(target, database);
      const p99Of = (isWith: boolean): number =>
        median(load.filter(({ readRate }) => readRate > 0 === isWith).map(({ p99 }) => p99));
      const p99 = { without: p99Of(false), with: p99Of(true), ratio: p99Of(true) / p99Of(false) };
      console.log(
        `p99 without reads ${p99.without.toFixed(1)} ms, with ${p99.with.toFixed(1)} ms: ${p99.ratio.toFixed(2)}x`,
      );
      console.log(STORM_HEAD);
      const storms: StormRow[] = [];
      for (const members of STORM_MEMBERS) {
        storms.push(await measureStorm(target, database, members));
        printStorm(storms.at(-1)!);
      }
      return { load, p99, storms };
    } finally {
      await database.end();
    }
  });
}

/** Makes rooms with new members. Each member has a socket that subscribes to the room and its `/read`. */
async function connectRooms(target: Target, rooms: number, members: number): Promise<LoadGenerator> {
  const first = newUserIds();
  const groups = Array.from({ length: rooms }, (_, room) =>
    Array.from({ length: members }, (_, member) => first + room * members + member),
  );
  const roomIds = await withLoader(target.mysql, (loader) => insertRooms(loader, groups));
  const tokens = await Promise.all(
    groups.map((users) => Promise.all(users.map((user) => tokenFor(target, user)))),
  );
  return LoadGenerator.connect({
    rooms: roomIds.map((roomId, index) => ({ roomId, tokens: tokens[index]! })),
    webPubSub: target.webPubSub,
    reads: true,
  });
}

async function measureLoad(target: Target, database: Database): Promise<readonly LoadRow[]> {
  const generator = await connectRooms(target, ROOMS, MEMBERS);
  const rows: LoadRow[] = [];
  console.log(LOAD_HEAD);
  try {
    await generator.run(MESSAGE_RATE, WARM_UP_SECONDS, READ_RATE);
    await settled(generator, database);
    for (let round = 0; round < ROUNDS; round += 1)
      for (const readRate of [0, READ_RATE]) {
        const before = await observe(target);
        const result = await generator.run(MESSAGE_RATE, SECONDS, readRate);
        const end = await settled(generator, database);
        const each = perMessage(before, await observe(target), result.sent);
        rows.push({ readRate, ...result, each, ...end });
        printLoad(rows.at(-1)!);
      }
  } finally {
    await generator.close();
  }
  return rows;
}

/**
 * Waits until all reads are stored and shown, so that none is left for the next run. Counts what is wrong
 * after 15 s.
 */
async function settled(
  generator: LoadGenerator,
  database: Database,
): Promise<Pick<LoadRow, "wrongPositions" | "allShown">> {
  const allShown = await until(() => generator.shownAll(), SETTLE_MS);
  await until(async () => (await countWrong(generator, database)) === 0, SETTLE_MS);
  return { allShown, wrongPositions: await countWrong(generator, database) };
}

async function countWrong(generator: LoadGenerator, database: Database): Promise<number> {
  const positions = generator.positions();
  const [rows] = await database.query<RowDataPacket[]>(
    "SELECT room_id, user_id, last_read_seq FROM room_members WHERE room_id IN (?)",
    [[...new Set(positions.map(({ roomId }) => roomId))]],
  );
  const stored = new Map(
    rows.map((row) => [`${row["room_id"]}:${row["user_id"]}`, Number(row["last_read_seq"])]),
  );
  return positions.filter(({ roomId, userId, seq }) => stored.get(`${roomId}:${userId}`) !== seq).length;
}

async function measureStorm(target: Target, database: Database, members: number): Promise<StormRow> {
  const generator = await connectRooms(target, 1, members);
  try {
    // The first storm brings the room's members into the cache and the code into the compilers.
    await generator.storm();
    const before = await observe(target);
    const storms: Awaited<ReturnType<LoadGenerator["storm"]>>[] = [];
    for (let message = 0; message < STORM_MESSAGES; message += 1) storms.push(await generator.storm());
    const sends = (await observe(target)).restSends - before.restSends - STORM_MESSAGES;
    const { wrongPositions, allShown } = await settled(generator, database);
    const sum = (pick: (storm: (typeof storms)[number]) => number): number =>
      storms.reduce((total, storm) => total + pick(storm), 0);
    const reads = sum((storm) => storm.reads.sent);
    return {
      members,
      messages: STORM_MESSAGES,
      reads,
      wrongPositions,
      allShown: allShown && storms.every(({ complete }) => complete),
      seconds: median(storms.map(({ seconds }) => seconds)),
      sendsPerRead: sends / reads,
      framesPerRead: sum((storm) => storm.reads.frames) / members / reads,
      movesPerRead: sum((storm) => storm.reads.moves) / members / reads,
      bytesPerRead: sum((storm) => storm.reads.bytes) / members / reads,
    };
  } finally {
    await generator.close();
  }
}

const columns =
  (widths: readonly number[]) =>
  (cells: readonly (string | number)[]): string =>
    cells.map((cell, i) => String(cell).padStart(widths[i]!)).join("");

const loadLine = columns([8, 7, 7, 9, 6, 5, 5, 5, 9, 9, 7, 8, 8, 8, 8]);
const LOAD_CELLS =
  "reads/s|sent|reads|deliv/s|lost|rep|dis|err|p50ms|p99ms|wrong|shown|moves|sends|rest/msg".split("|");
const LOAD_HEAD = `${ROOMS} rooms x ${MEMBERS} members, ${MESSAGE_RATE} messages/s, ${SECONDS} s a run\n${loadLine(LOAD_CELLS)}`;

/** `moves` and `sends` are what one member of a room got on its `/read`. */
function printLoad(row: LoadRow): void {
  const { readRate, sent, reads, lost, repeated, disordered, errors, each } = row;
  console.log(
    loadLine([
      readRate,
      sent,
      reads.sent,
      row.deliveredPerSecond.toFixed(0),
      lost,
      repeated,
      disordered,
      errors,
      row.p50.toFixed(1),
      row.p99.toFixed(1),
      row.wrongPositions,
      row.allShown ? "all" : "NOT",
      (reads.moves / MEMBERS / ROOMS).toFixed(0),
      (reads.arrivals / MEMBERS / ROOMS).toFixed(0),
      each.restSends.toFixed(2),
    ]),
  );
}

const stormLine = columns([9, 10, 8, 7, 7, 10, 12, 13, 12, 12]);
const STORM_CELLS =
  "members|messages|reads|wrong|shown|seconds|sends/read|frames/read|moves/read|bytes/read".split("|");
const STORM_HEAD = `a room in which every member reads each message\n${stormLine(STORM_CELLS)}`;

function printStorm(row: StormRow): void {
  console.log(
    stormLine([
      row.members,
      row.messages,
      row.reads,
      row.wrongPositions,
      row.allShown ? "all" : "NOT",
      row.seconds.toFixed(2),
      row.sendsPerRead.toFixed(3),
      row.framesPerRead.toFixed(3),
      row.movesPerRead.toFixed(3),
      row.bytesPerRead.toFixed(0),
    ]),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const result = await run();
  const load = { rooms: ROOMS, members: MEMBERS, seconds: SECONDS, messageRate: MESSAGE_RATE };
  writeResult("reads", { ...load, ...result });
}
