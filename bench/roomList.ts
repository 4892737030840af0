/**
 * Compares GET /rooms of a user in many rooms, where an unread count is a subtraction, with the obvious
 * query, which counts messages: on the same data, in turn in one run. Run as a program it prints the result
 * and writes it to `bench/results/roomList.json`.
 */
import { fileURLToPath } from "node:url";
import type { Connection, RowDataPacket } from "mysql2/promise";
import { type Database, openDatabase } from "../shared/store/database.js";
import { listRoomsOf } from "../shared/store/roomLists.js";
import { addMessages, insertRooms, settle, spreadPositions, withLoader } from "./largeData.js";
import {
  inTurn,
  median,
  newUserIds,
  onTarget,
  setting,
  settings,
  type Target,
  timed,
  tokenFor,
  writeResult,
} from "./target.js";

const ROOMS = setting("BENCH_ROOMS", 1_000);
const MEMBERS = setting("BENCH_MEMBERS", 10);
const MESSAGES_PER_ROOM = settings("BENCH_MESSAGES_PER_ROOM", [100, 1_000, 10_000]);
const ROUNDS = setting("BENCH_ROUNDS", 9);
/**
 * Rooms of others. In a database with this user's rooms alone the obvious query would be planned as in no
 * real database.
 */
const OTHER_ROOMS = 20_000;
const WARM_UP_CALLS = 50;
/**
 * Calls of a quick side in a round. The first calls after a counting query find the server's memory full of
 * other things.
 */
const QUICK_CALLS = 20;
/** The size of a page of GET /rooms if none is asked for. */
const PAGE = 50;

/** Medians in milliseconds. */
export interface Row {
  readonly messagesPerRoom: number;
  readonly loadSeconds: number;
  /** `listRoomsOf`, and the whole HTTP call. */
  readonly ours: number;
  readonly http: number;
  /** `listRoomsOf` just after the obvious query, which fills the server's memory with what it counted. */
  readonly oursAfterCounting: number;
  /** The obvious query: it counts what lies behind the position, by the index on room and `seq` alone. */
  readonly counted: number;
  /** As good as counting gets: the page's rooms are found first, and only those are counted. */
  readonly countedOnPage: number;
  /**
   * The obvious query on a table without `seq`: it counts by an index on room and time alone. Only on a stack
   * that the measurement started.
   */
  readonly countedByTime: number | null;
}

type Side = "ours" | "http" | "counted" | "countedOnPage" | "countedByTime";
type Sides = Readonly<Record<Side, () => Promise<readonly Listed[]>>>;

/** What all sides must agree on about a room of a page: id, unread messages, last message. */
type Listed = readonly [roomId: number, unread: number, messageId: number];

const COLUMNS = `r.room_id, r.type, r.name, r.image_url, r.pair_key, r.member_count, r.last_activity_at,
  l.message_id, l.seq, l.content, l.type AS message_type, l.sent_at, l.sender_id`;
const BEHIND_SEQ =
  "(SELECT COUNT(*) FROM messages c WHERE c.room_id = r.room_id AND c.seq > m.last_read_seq)";
const BEHIND_TIME = `(SELECT COUNT(*) FROM messages c WHERE c.room_id = r.room_id AND c.sent_at > COALESCE(
  (SELECT p.sent_at FROM messages p WHERE p.message_id = m.last_read_message_id), '1970-01-01'))`;

const counting = (unread: string): string =>
  `SELECT ${COLUMNS}, ${unread} AS unread
     FROM room_members m JOIN rooms r ON r.room_id = m.room_id LEFT JOIN messages l ON l.message_id = r.last_message_id
    WHERE m.user_id = ? ORDER BY r.last_activity_at DESC, r.room_id DESC LIMIT ${PAGE}`;

const COUNTING_ON_PAGE = `SELECT ${COLUMNS}, ${BEHIND_SEQ} AS unread
     FROM (SELECT x.room_id FROM room_members o JOIN rooms x ON x.room_id = o.room_id
            WHERE o.user_id = ? ORDER BY x.last_activity_at DESC, x.room_id DESC LIMIT ${PAGE}) page
     JOIN rooms r ON r.room_id = page.room_id JOIN room_members m ON m.room_id = page.room_id AND m.user_id = ?
     LEFT JOIN messages l ON l.message_id = r.last_message_id
    ORDER BY r.last_activity_at DESC, r.room_id DESC`;

export const run = (): Promise<readonly Row[]> => onTarget(measure);

async function measure(target: Target): Promise<readonly Row[]> {
  const database = openDatabase(target.mysql, { statementMs: 120_000 });
  try {
    return await withLoader(target.mysql, (loader) => measureAll(target, loader, database));
  } finally {
    await database.end();
  }
}

async function measureAll(target: Target, loader: Connection, database: Database): Promise<readonly Row[]> {
  const user = newUserIds();
  const others = (room: number) =>
    Array.from({ length: MEMBERS - 1 }, (_, k) => user + 1 + room * MEMBERS + k);
  const roomIds = await insertRooms(
    loader,
    Array.from({ length: ROOMS }, (_, room) => [user, ...others(room)]),
  );
  await insertRooms(
    loader,
    Array.from({ length: OTHER_ROOMS }, (_, room) => others(room)),
  );
  const sides = sidesOf(target, database, user, await tokenFor(target, user));
  const rows: Row[] = [];
  console.log(HEAD);
  for (const [index, messages] of MESSAGES_PER_ROOM.entries()) {
    const load = await timed(async () => {
      await addMessages(loader, roomIds, MESSAGES_PER_ROOM[index - 1] ?? 0, messages);
      await spreadPositions(loader, roomIds, messages);
      await settle(loader);
    });
    const main = await measureSides(sides, ["ours", "http", "counted", "countedOnPage"]);
    const oursAfterCounting = await measureAfterCounting(sides);
    const countedByTime = await measureByTime(loader, sides);
    rows.push({
      messagesPerRoom: messages,
      loadSeconds: load / 1_000,
      ...main,
      oursAfterCounting,
      countedByTime,
    });
    print(rows.at(-1)!);
  }
  return rows;
}

async function measureAfterCounting({ ours, counted }: Sides): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await counted();
    times.push(await timed(ours));
  }
  return median(times);
}

/**
 * Measures with an index that exists only meanwhile, so that no other query is planned with it. Never does so
 * in a database that somebody goes on using.
 */
async function measureByTime(loader: Connection, sides: Sides): Promise<number | null> {
  if (process.env["STACK"]) return null;
  await loader.query("ALTER TABLE messages ADD KEY bench_times (room_id, sent_at)");
  await settle(loader);
  const { countedByTime } = await measureSides(sides, ["countedByTime"]);
  await loader.query("ALTER TABLE messages DROP KEY bench_times");
  return countedByTime;
}

function sidesOf(target: Target, database: Database, user: number, token: string): Sides {
  const counted = async (sql: string): Promise<readonly Listed[]> => {
    const [rows] = await database.query<RowDataPacket[]>(sql, [user, user]);
    return rows.map((row) => [row["room_id"], row["unread"], row["message_id"]]);
  };
  return {
    ours: async () =>
      (await listRoomsOf(database, user, PAGE)).map(({ roomId, unreadCount, lastMessage }) => [
        roomId,
        unreadCount,
        lastMessage?.messageId ?? 0,
      ]),
    http: () => getRooms(target, token),
    counted: () => counted(counting(BEHIND_SEQ)),
    countedOnPage: () => counted(COUNTING_ON_PAGE),
    countedByTime: () => counted(counting(BEHIND_TIME)),
  };
}

async function getRooms({ api }: Target, token: string): Promise<readonly Listed[]> {
  const response = await fetch(`${api}/api/v1/chat/rooms?limit=${PAGE}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  if (response.status !== 200) throw new Error(`GET /rooms: ${response.status} ${await response.text()}`);
  const { rooms } = (await response.json()) as {
    rooms: { roomId: number; unreadCount: number; lastMessage: { messageId: number } }[];
  };
  return rooms.map(({ roomId, unreadCount, lastMessage }) => [roomId, unreadCount, lastMessage.messageId]);
}

/**
 * Throws unless all sides answer the same. Then measures them in turn; a quick side makes several calls in a
 * round.
 */
async function measureSides<Some extends Side>(
  sides: Sides,
  names: readonly Some[],
): Promise<Readonly<Record<Some, number>>> {
  const expected = JSON.stringify(await sides.ours());
  for (const name of names)
    if (JSON.stringify(await sides[name]()) !== expected)
      throw new Error(`"${name}" and "ours" list different rooms or counts; correct this before measuring.`);
  for (let warm = 0; warm < WARM_UP_CALLS; warm += 1) await Promise.all([sides.ours(), sides.http()]);
  const calls = (name: Some): number => (name === "ours" || name === "http" ? QUICK_CALLS : 1);
  const measurements = names.map((name) => [name, () => timed(sides[name], calls(name))]);
  return inTurn<Some>(Object.fromEntries(measurements), ROUNDS);
}

const WIDTHS = [13, 8, 9, 9, 9, 10, 10, 10, 9, 9, 9];
const line = (cells: readonly string[]): string => cells.map((cell, i) => cell.padStart(WIDTHS[i]!)).join("");
const CELLS = "messages/room|load s|ours|HTTP|after|counted|on page|by time|ratio|on page|by time".split("|");
const HEAD = `one user in ${ROOMS} rooms, a page of ${PAGE}, ms (medians of ${ROUNDS})\n${line(CELLS)}`;

function print(row: Row): void {
  const { ours, http, oursAfterCounting, counted, countedOnPage, countedByTime } = row;
  const times = [ours, http, oursAfterCounting, counted, countedOnPage, countedByTime];
  const ratios = [counted, countedOnPage, countedByTime];
  console.log(
    line([
      String(row.messagesPerRoom),
      row.loadSeconds.toFixed(0),
      ...times.map((ms) => ms?.toFixed(2) ?? "-"),
      ...ratios.map((ms) => (ms === null ? "-" : `${(ms / ours).toFixed(1)}x`)),
    ]),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const rows = await run();
  const [least, most] = [rows[0]!, rows.at(-1)!];
  const flatness = most.ours / least.ours;
  console.log(
    `ours with ${most.messagesPerRoom} messages a room takes ${flatness.toFixed(2)} times as long as with ${least.messagesPerRoom}`,
  );
  writeResult("roomList", { rooms: ROOMS, members: MEMBERS, page: PAGE, rounds: ROUNDS, flatness, rows });
}
