/**
 * Compares a page of a big room's history with unread counts and the same page without, in turn in one run.
 * Run as a program it prints the result and writes it to `bench/results/historyPage.json`.
 */
import { fileURLToPath } from "node:url";
import { requireAccess, visibleAfter } from "../shared/chat/access.js";
import { messageShown } from "../shared/frames/message.js";
import { listMessages } from "../shared/messages/list.js";
import { type Database, openDatabase } from "../shared/store/database.js";
import { listMessagesBefore } from "../shared/store/messages.js";
import { addMessages, insertRooms, settle, spreadPositions, withLoader } from "./largeData.js";
import {
  inTurn,
  newUserIds,
  onTarget,
  setting,
  type Target,
  timed,
  tokenFor,
  writeResult,
} from "./target.js";

const MEMBERS = setting("BENCH_MEMBERS", 5_000);
const MESSAGES = setting("BENCH_MESSAGES", 2_000);
const ROUNDS = setting("BENCH_ROUNDS", 15);
const PAGE = 100;
const CALLS = 30;
const WARM_UP_CALLS = 200;

/** Medians in milliseconds. A call includes its statements. */
export interface Row {
  readonly page: string;
  /** Members who have not read the page's newest message. Counting goes over these. */
  readonly behind: number;
  readonly counted: number;
  readonly uncounted: number;
  readonly ratio: number;
  /** The whole HTTP call, with counts. */
  readonly http: number;
}

interface Room {
  readonly target: Target;
  readonly database: Database;
  readonly roomId: number;
  readonly userId: number;
  readonly token: string;
}

export async function run(): Promise<readonly Row[]> {
  return onTarget(async (target) => {
    const first = newUserIds();
    const roomId = await withLoader(target.mysql, async (loader) => {
      const users = Array.from({ length: MEMBERS }, (_, member) => first + member);
      const roomIds = await insertRooms(loader, [users]);
      await addMessages(loader, roomIds, 0, MESSAGES);
      await spreadPositions(loader, roomIds, MESSAGES);
      await settle(loader);
      return roomIds[0]!;
    });
    const database = openDatabase(target.mysql);
    try {
      const room = { target, database, roomId, userId: first, token: await tokenFor(target, first) };
      return await measure(room);
    } finally {
      await database.end();
    }
  });
}

async function measure(room: Room): Promise<readonly Row[]> {
  const places: [page: string, before: number][] = [
    ["newest", MESSAGES + 1],
    ["middle", Math.floor(MESSAGES / 2) + 1],
    ["oldest", PAGE + 1],
  ];
  const rows: Row[] = [];
  console.log(HEAD);
  for (const [page, before] of places) {
    await requireCounts(room, before);
    const sides = sidesOf(room, before);
    for (const work of Object.values(sides)) await timed(work, WARM_UP_CALLS);
    const { counted, uncounted, http } = await inTurn(
      {
        counted: () => timed(sides.counted, CALLS),
        uncounted: () => timed(sides.uncounted, CALLS),
        http: () => timed(sides.http, CALLS),
      },
      ROUNDS,
    );
    const behind = (await sides.counted())[0]!.unreadCount;
    const row = { page, behind, counted, uncounted, ratio: counted / uncounted, http };
    rows.push(row);
    print(row);
  }
  return rows;
}

interface Shown {
  readonly seq: number;
  readonly unreadCount: number;
}

function sidesOf({ target, database, roomId, userId, token }: Room, before: number) {
  const query = { roomId, callerId: userId, before, limit: PAGE };
  return {
    counted: async () => (await listMessages(query, { database })).messages as readonly Shown[],
    /** Does all that `listMessages` does, except counting. */
    uncounted: async () => {
      const { room, member } = await requireAccess(database, roomId, userId);
      const after = visibleAfter(room, member);
      const messages = await listMessagesBefore(database, roomId, userId, before, after, PAGE);
      return messages.map((message) => messageShown({ message, unreadCount: 0 })) as readonly Shown[];
    },
    http: async () => {
      const path = `/api/v1/chat/rooms/${roomId}/messages?before=${before}&limit=${PAGE}`;
      const headers = { authorization: `Bearer ${token}` };
      const response = await fetch(`${target.api}${path}`, { headers });
      if (response.status !== 200) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      return ((await response.json()) as { messages: readonly Shown[] }).messages;
    },
  };
}

/**
 * Throws unless the counts of a page are those that one query a message finds: only right results are
 * measured.
 */
async function requireCounts(room: Room, before: number): Promise<void> {
  const { counted, uncounted, http } = sidesOf(room, before);
  const messages = await counted();
  for (const { seq, unreadCount } of messages) {
    const [rows] = await room.database.query(
      "SELECT COUNT(*) AS members FROM room_members WHERE room_id = ? AND last_read_seq < ?",
      [room.roomId, seq],
    );
    const { members } = (rows as unknown as { members: number }[])[0]!;
    if (members !== unreadCount)
      throw new Error(`message ${seq}: ${members} unread, but ${unreadCount} said`);
  }
  const seqs = (list: readonly Shown[]): string => JSON.stringify(list.map(({ seq }) => seq));
  if (messages.length !== PAGE || seqs(await uncounted()) !== seqs(messages))
    throw new Error("The pages with and without counts differ; correct this before measuring.");
  if (JSON.stringify(await http()) !== JSON.stringify(messages)) throw new Error("The HTTP call differs.");
}

const WIDTHS = [8, 9, 10, 11, 8, 9];
const line = (cells: readonly string[]): string => cells.map((cell, i) => cell.padStart(WIDTHS[i]!)).join("");
const HEAD = [
  `pages of ${PAGE} in a room of ${MEMBERS} members and ${MESSAGES} messages, ms (medians of ${ROUNDS} rounds of ${CALLS} calls)`,
  line(["page", "behind", "counted", "uncounted", "ratio", "HTTP"]),
].join("\n");

function print({ page, behind, counted, uncounted, ratio, http }: Row): void {
  console.log(
    line([
      page,
      String(behind),
      counted.toFixed(2),
      uncounted.toFixed(2),
      `${ratio.toFixed(2)}x`,
      http.toFixed(2),
    ]),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const rows = await run();
  writeResult("historyPage", { members: MEMBERS, messages: MESSAGES, page: PAGE, rounds: ROUNDS, rows });
}
