import { visibleAfter } from "../chat/access.js";
import { notAMember, requireMemberNow } from "../chat/membership.js";
import { type ShownMessage, type StoredMessage, shownWith } from "../chat/message.js";
import { spanOf } from "../chat/unread.js";
import type { Connection } from "../connections/connection.js";
import { isPacked } from "../fanout/groups.js";
import { prepared } from "../frames/frame.js";
import { messageFrame } from "../frames/message.js";
import { textsOf } from "../stomp/packing.js";
import type { Later, Queryable } from "../store/database.js";
import { countUnread, findMember } from "../store/members.js";
import { listMessagesBefore } from "../store/messages.js";
import { findRoom, holdRoom, type Room } from "../store/rooms.js";
import { inTransaction } from "../store/transaction.js";
import type { CommandDeps } from "./command.js";

/** A replay sends at most this many messages. */
const REPLAYED = 200;
const ROUNDS = 5;
/** Fewer new messages than this are sent soon enough while the room waits. */
const FEW = 10;

type Deps = Pick<CommandDeps, "database" | "broadcaster">;

export interface Replay {
  readonly connection: Connection;
  readonly roomId: number;
  readonly lane: string;
  readonly wire: string;
  /** The seq of the last message the client has. */
  readonly after: number;
}

/**
 * Sends most of what comes after a seq, without a lock, and returns the last seq sent, or 0. Comes before
 * `replayRest`, which runs under the lock of room and user: one frame a message takes its time, and only few
 * such locks can be held at once. Throws `NOT_A_MEMBER`.
 */
export async function replayMost(wanted: Replay, deps: Deps): Promise<number> {
  const { room, from } = await startOf(wanted, deps);
  return sendRounds(wanted, from, room, deps);
}

/**
 * Sends the messages after a seq, then runs `join`; nothing is missed and nothing comes out of its order. The
 * last piece is sent, and the group joined, while the room can take no message: a message that comes live
 * afterwards is newer than all that was sent, or a repeat. Of more than 200 messages the newest 200 are sent,
 * with `gap:true` on the first. A user who is removed meanwhile gets nothing that was stored after that.
 * Throws `NOT_A_MEMBER`.
 */
export async function replayRest(
  wanted: Replay,
  join: (tx: Later) => Promise<void>,
  deps: Deps,
): Promise<void> {
  const { roomId, connection } = wanted;
  const { room, from } = await startOf(wanted, deps);
  // Sends what was stored while this waited for the lock. Most of that goes without holding up the room, too.
  const sent = await sendRounds(wanted, from, room, deps);
  await inTransaction(deps.database, async (tx) => {
    await holdRoom(tx, roomId);
    await requireMemberNow(tx, roomId, connection.userId);
    await sendBetween(wanted, Math.max(from, sent), Number.MAX_SAFE_INTEGER - 1, tx, deps);
    await join(tx);
  });
}

/** The room, and the seq after which there is something to send. */
async function startOf(
  { roomId, connection, after }: Replay,
  { database }: Deps,
): Promise<{ room: Room; from: number }> {
  // The room is read before the member: so what stood in it then was stored while the user was a member.
  const room = await findRoom(database, roomId);
  const member = await findMember(database, roomId, connection.userId);
  if (!room || !member) throw notAMember(roomId);
  return { room, from: Math.max(after, visibleAfter(room, member)) };
}

/**
 * Sends up to the room's end, then what was stored meanwhile, as long as that is much, five rounds at most.
 * One frame a message takes its time, which should not be spent while the room waits. Returns the last seq
 * sent, or 0.
 */
async function sendRounds(wanted: Replay, after: number, room: Room, deps: Deps): Promise<number> {
  let sent = await sendBetween(wanted, after, room.lastSeq, deps.database, deps);
  for (let rounds = 1; rounds < ROUNDS && sent > 0; rounds += 1) {
    // Read again: a user who was removed and has come back since sees nothing of the time between.
    const { room: now, from } = await startOf({ ...wanted, after: sent }, deps);
    if (now.lastSeq - from < FEW) break;
    sent = Math.max(sent, await sendBetween(wanted, from, now.lastSeq, deps.database, deps));
  }
  return sent;
}

/** Sends what stands after one seq, up to another, the newest 200 of it; returns the last seq sent, or 0. */
async function sendBetween(
  wanted: Replay,
  after: number,
  last: number,
  db: Queryable,
  { broadcaster }: Deps,
): Promise<number> {
  const { messages, gap } = await newest(wanted, after, last, db);
  if (messages.length === 0) return 0;
  const unread = await countUnread(db, wanted.roomId, ...spanOf(messages));
  const frames = messages.map((message, index) =>
    frameOf(shownWith(message, unread(message.seq)), gap && index === 0)(wanted.wire),
  );
  for (const text of textsOf(frames, isPacked(wanted.lane)))
    await broadcaster.sendToConnection(wanted.connection.connectionId, text);
  return messages.at(-1)?.seq ?? 0;
}

function frameOf(shown: ShownMessage, gap: boolean): (wire: string) => string {
  const frame = messageFrame(shown);
  return prepared(gap ? { ...frame, more: { gap: "true" } } : frame);
}

/** `gap`: there were more. */
async function newest(
  { roomId, connection: { userId } }: Replay,
  after: number,
  last: number,
  db: Queryable,
): Promise<{ messages: readonly StoredMessage[]; gap: boolean }> {
  const latest = await listMessagesBefore(db, roomId, userId, last + 1, after, REPLAYED + 1);
  const messages = latest.slice(0, REPLAYED).toReversed();
  return { messages, gap: latest.length > REPLAYED };
}
