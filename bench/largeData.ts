import { type Connection, createConnection, type ResultSetHeader } from "mysql2/promise";

/**
 * Puts rooms, members and messages into the tables by SQL, in the state that the usual way would leave. The
 * bus is left out: it would take hours for what this does in minutes.
 */

/** Beside this many a commit costs nothing, and the locks and the undo log stay small. */
const MESSAGES_A_TRANSACTION = 100_000;
const MEMBERS_A_STATEMENT = 5_000;
/** A room gets at most this many messages at once. */
const NUMBERS = 20_000;

/**
 * Runs `work` on a connection for loading large data. The table `bench_numbers` exists meanwhile and is
 * dropped at the end.
 */
export async function withLoader<T>(mysqlUrl: string, work: (loader: Connection) => Promise<T>): Promise<T> {
  const loader = await createConnection({ uri: mysqlUrl, timezone: "Z", supportBigNumbers: true });
  try {
    await loader.query("SET SESSION unique_checks = 0, foreign_key_checks = 0");
    await loader.query("DROP TABLE IF EXISTS bench_numbers");
    await loader.query("CREATE TABLE bench_numbers (n INT UNSIGNED PRIMARY KEY)");
    const numbers = Array.from({ length: NUMBERS }, (_, index) => [index + 1]);
    await loader.query("INSERT INTO bench_numbers VALUES ?", [numbers]);
    return await work(loader);
  } finally {
    await loader.query("DROP TABLE IF EXISTS bench_numbers").catch(() => {});
    await loader.end();
  }
}

/**
 * Makes a group of each list of users, whose first is the creator. Returns the groups' ids in the same order.
 */
export async function insertRooms(
  loader: Connection,
  groups: readonly (readonly number[])[],
): Promise<readonly number[]> {
  const roomIds: number[] = [];
  await loader.query("START TRANSACTION");
  for (const [index, users] of groups.entries()) {
    const [{ insertId }] = await loader.query<ResultSetHeader>(
      `INSERT INTO rooms (type, name, creator_id, member_count, last_activity_at, created_at)
       VALUES ('GROUP', ?, ?, ?, '2026-01-01', '2026-01-01')`,
      [`bench ${index}`, users[0], users.length],
    );
    roomIds.push(insertId);
  }
  const members = groups.flatMap((users, index) =>
    users.map((userId) => [roomIds[index], userId, new Date(Date.UTC(2026, 0, 1))]),
  );
  for (let first = 0; first < members.length; first += MEMBERS_A_STATEMENT)
    await loader.query("INSERT INTO room_members (room_id, user_id, joined_at) VALUES ?", [
      members.slice(first, first + MEMBERS_A_STATEMENT),
    ]);
  await loader.query("COMMIT");
  return roomIds;
}

/**
 * Adds messages to rooms that have `from` messages each, until they have `to`. Throws where that is more than
 * 20,000 a room. Rooms come one after the other, so that each index is written in long runs. Messages are a
 * second apart, and each room has its own milliseconds.
 */
export async function addMessages(
  loader: Connection,
  roomIds: readonly number[],
  from: number,
  to: number,
): Promise<void> {
  if (to - from > NUMBERS) throw new Error(`at most ${NUMBERS} messages a room can be added at once`);
  const rooms = Math.max(1, Math.floor(MESSAGES_A_TRANSACTION / (to - from)));
  for (let first = 0; first < roomIds.length; first += rooms) {
    await loader.query("START TRANSACTION");
    for (const roomId of roomIds.slice(first, first + rooms)) await addToRoom(loader, roomId, from, to);
    await loader.query("COMMIT");
  }
}

async function addToRoom(loader: Connection, roomId: number, from: number, to: number): Promise<void> {
  await loader.query(
    `INSERT INTO messages (room_id, seq, sender_id, sender_nickname, dedupe_key, type, content, sent_at)
     SELECT ?, n + ?, r.creator_id, 'Bench', UNHEX(MD5(CONCAT(n + ?))), 'TEXT',
            CONCAT('Message ', n + ?, ' of about as many words as people write to each other'),
            '2026-01-01' + INTERVAL (n + ?) * 1000000 + CRC32(?) % 1000 * 1000 MICROSECOND
       FROM rooms r STRAIGHT_JOIN bench_numbers WHERE r.room_id = ? AND n <= ? ORDER BY n`,
    [roomId, from, from, from, from, roomId, roomId, to - from],
  );
  await loader.query(
    `UPDATE rooms r JOIN messages l ON l.room_id = r.room_id AND l.seq = ?
        SET r.last_seq = l.seq, r.last_message_id = l.message_id, r.last_activity_at = l.sent_at
      WHERE r.room_id = ?`,
    [to, roomId],
  );
}

/** Gives every member of these rooms a read position between nothing and the last of `messages`. */
export async function spreadPositions(
  loader: Connection,
  roomIds: readonly number[],
  messages: number,
): Promise<void> {
  await loader.query(
    `UPDATE room_members SET last_read_seq = CRC32(CONCAT(room_id, ' ', user_id)) % (? + 1) WHERE room_id IN (?)`,
    [messages, roomIds],
  );
  await loader.query(
    `UPDATE room_members m LEFT JOIN messages p ON p.room_id = m.room_id AND p.seq = m.last_read_seq
        SET m.last_read_message_id = p.message_id
      WHERE m.room_id IN (?)`,
    [roomIds],
  );
}

/**
 * Makes the server count what its tables hold and write all of it to disk, so that neither happens during a
 * measurement.
 */
export async function settle(loader: Connection): Promise<void> {
  await loader.query("ANALYZE TABLE messages, rooms, room_members");
  await loader.query("FLUSH TABLES messages, rooms, room_members FOR EXPORT");
  await loader.query("UNLOCK TABLES");
}
