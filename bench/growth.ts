/**
 * What a message costs as the system grows: with more rooms, more members, more subscription ids in a room, and more
 * stored messages. Nothing but what goes out to members may grow with members, and nothing with history. Environment:
 * BENCH_SECONDS, BENCH_RATE (deliveries a second at most), BENCH_STORED (messages, in millions, in all; a tenth of
 * them is in one room). Run as a program it prints a table and writes `bench/results/growth.json`.
 */
import type WebSocket from "ws";
import { addMessages, settle, withLoader } from "./largeData.js";
import { LoadGenerator, type RunResult } from "./loadGenerator.js";
import { type Counters, observe, perMessage } from "./observe.js";
import { makeRooms } from "./rooms.js";
import { openSocket } from "./socket.js";
import { onTarget, setting, type Target, UNLIMITED, writeResult } from "./target.js";

const SECONDS = setting("BENCH_SECONDS", 10);
const DELIVERIES = setting("BENCH_RATE", 2_000);
const STORED = setting("BENCH_STORED", 10) * 1_000_000;
const WARM_UP_S = 4;
/** The loader adds so many messages to a room at once. */
const AT_ONCE = 20_000;

interface Shape {
  readonly rooms: number;
  readonly members: number;
  /** Subscription ids in use in each room. */
  readonly ids: number;
  /** Messages that are stored before: in the first room, and in all. */
  readonly stored: readonly [inRoom: number, inAll: number];
}

const usual: Shape = { rooms: 20, members: 10, ids: 1, stored: [0, 0] };
const SHAPES: readonly Shape[] = [
  usual,
  ...[2, 200, 1_000].map((rooms) => ({ ...usual, rooms })),
  ...[100, 1_000].map((members) => ({ ...usual, rooms: 2, members })),
  { ...usual, rooms: 2, members: 50, ids: 1 },
  { ...usual, rooms: 2, members: 50, ids: 40 },
  { ...usual, stored: [STORED / 10, STORED] },
];

interface Row extends Shape, RunResult {
  readonly each: Counters;
}

/** Each further id is one of a member's own. */
async function otherIds(rooms: Awaited<ReturnType<typeof makeRooms>>, ids: number, { webPubSub }: Target) {
  const sockets: WebSocket[] = [];
  for (const { roomId, tokens } of rooms)
    for (const [place, token] of tokens.slice(0, ids - 1).entries())
      sockets.push(
        await openSocket(
          `${webPubSub}?token=${token}`,
          [`/sub/chat/room/${roomId}`],
          false,
          () => `own-${place}`,
        ),
      );
  return sockets;
}

/** As if the rooms had been written to for years. */
async function fill(
  roomIds: readonly number[],
  [inRoom, inAll]: Shape["stored"],
  mysql: string,
): Promise<void> {
  const [first, ...others] = roomIds as [number, ...number[]];
  const inEach = Math.floor((inAll - inRoom) / others.length);
  await withLoader(mysql, async (loader) => {
    for (const [rooms, most] of [[[first], inRoom] as const, [others, inEach] as const])
      for (let from = 0; from < most; from += AT_ONCE)
        await addMessages(loader, rooms, from, Math.min(most, from + AT_ONCE));
    await settle(loader);
  });
}

async function measure(target: Target, shape: Shape): Promise<Row> {
  const rooms = await makeRooms(target, shape.rooms, shape.members);
  const [, inAll] = shape.stored;
  if (inAll > 0)
    await fill(
      rooms.map(({ roomId }) => roomId),
      shape.stored,
      target.mysql,
    );
  const generator = await LoadGenerator.connect({ rooms, webPubSub: target.webPubSub });
  const others = await otherIds(rooms, shape.ids, target);
  try {
    const rate = Math.max(2, Math.round(DELIVERIES / shape.members));
    await generator.run(rate, WARM_UP_S);
    const before = await observe(target);
    const result = await generator.run(rate, SECONDS);
    const each = perMessage(before, await observe(target), result.sent);
    return { ...shape, ...result, each };
  } finally {
    for (const socket of others) socket.terminate();
    await generator.close();
  }
}

const rows: Row[] = [];
for (const shape of SHAPES) {
  const row = await onTarget((target) => measure(target, shape), UNLIMITED);
  rows.push(row);
  const { rooms, members, ids, stored, rate, lost, p50, p99, each } = row;
  const cpu = Object.entries(each.cpu).map(([name, ms]) => `${name} ${ms.toFixed(2)}`);
  console.log(
    `${rooms} rooms x ${members}, ${ids} ids, ${stored[1]} stored, ${rate}/s: lost ${lost}, p50 ${p50.toFixed(1)} ms, ` +
      `p99 ${p99.toFixed(1)} ms, SQL ${each.sqlStatements.toFixed(2)}, REST ${each.restSends.toFixed(2)}, ` +
      `Redis ${each.redisCalls.toFixed(2)}; CPU, ms: ${cpu.join(", ")}`,
  );
}
writeResult("growth", { seconds: SECONDS, deliveries: DELIVERIES, rows });
