import type { RowDataPacket } from "mysql2/promise";
import type { NamedUser } from "../events/messages.js";
import type { Queryable } from "./database.js";
import type { Transaction } from "./transaction.js";

export interface User {
  readonly nickname: string | null;
  readonly profileImageUrl: string | null;
}

/**
 * Whether a user has been here: they have from their first verified token on. `AWAITED`: never yet, but
 * somebody has made them a member of a room. `ARRIVING`: they have come, and their memberships from before
 * are being given a position. A user never goes back to an earlier state.
 */
export type Presence = "AWAITED" | "ARRIVING" | "PRESENT";

/** The name of a user who has never shown a token with a nickname. */
export const namelessUser = (userId: number): string => `User ${userId}`;

/** The nicknames and pictures of these users, by user id. A user without an entry has never been noted. */
export async function findUsers(
  db: Queryable,
  userIds: readonly number[],
): Promise<ReadonlyMap<number, User>> {
  if (userIds.length === 0) return new Map();
  const [rows] = await db.query<RowDataPacket[]>(
    "SELECT user_id, nickname, profile_image_url FROM users WHERE user_id IN (?)",
    [userIds],
  );
  return new Map(
    rows.map((row) => [
      row["user_id"] as number,
      { nickname: row["nickname"], profileImageUrl: row["profile_image_url"] },
    ]),
  );
}

/** The names of these users. */
export async function namesOf(
  db: Queryable,
  userIds: readonly number[],
): Promise<(userId: number) => NamedUser> {
  const users = await findUsers(db, userIds);
  return (userId) => ({ userId, nickname: users.get(userId)?.nickname ?? namelessUser(userId) });
}

/**
 * Remembers what a user's latest token says of them. A token without a picture takes the picture away: the
 * user has removed it. A token without a nickname leaves the nickname as it was, because a room cannot show a
 * user without one. Most tokens say what the one before said: then nothing is written.
 */
export async function rememberUser(
  db: Queryable,
  user: { readonly userId: number; readonly nickname?: string; readonly picture?: string },
): Promise<void> {
  const known = (await findUsers(db, [user.userId])).get(user.userId);
  const isSameName = user.nickname === undefined || user.nickname === known?.nickname;
  if (known && isSameName && known.profileImageUrl === (user.picture ?? null)) return;
  await db.query(
    `INSERT INTO users (user_id, nickname, profile_image_url, updated_at) VALUES (?, ?, ?, UTC_TIMESTAMP(3))
     ON DUPLICATE KEY UPDATE nickname = COALESCE(VALUES(nickname), nickname),
       profile_image_url = VALUES(profile_image_url), updated_at = VALUES(updated_at)`,
    [user.userId, user.nickname ?? null, user.picture ?? null],
  );
}

/** A user's presence. Nothing for a user who has never come and is not awaited. */
export async function findPresence(db: Queryable, userId: number): Promise<Presence | undefined> {
  const [rows] = await db.query<PresenceRow[]>("SELECT user_id, presence FROM users WHERE user_id = ?", [
    userId,
  ]);
  return rows[0]?.presence;
}

/**
 * A user has shown a verified token. An awaited user is `ARRIVING` from now on, a new one is `PRESENT`. It
 * waits for transactions that are making the user an awaited member. Afterwards all such memberships can be
 * seen, and no more are made.
 */
export async function noteArrival(db: Queryable, userId: number): Promise<void> {
  await db.query(
    `INSERT INTO users (user_id, updated_at, presence) VALUES (?, UTC_TIMESTAMP(3), 'PRESENT')
     ON DUPLICATE KEY UPDATE presence = IF(presence = 'AWAITED', 'ARRIVING', presence)`,
    [userId],
  );
}

/** The arriving user has got a position in every room. */
export function notePresence(tx: Transaction, userId: number): void {
  tx.later("UPDATE users SET presence = 'PRESENT' WHERE user_id = ?", [userId]);
}

interface PresenceRow extends RowDataPacket {
  user_id: number;
  presence: Presence;
}

/**
 * Those of these users, about to become members, who have never been here. They are noted as awaited. Their
 * rows are locked in the order of their ids, so they can't arrive before the transaction ends. The rows of
 * users who have been here are not locked: that never changes.
 */
export async function awaitedAmong(tx: Queryable, userIds: readonly number[]): Promise<ReadonlySet<number>> {
  if (userIds.length === 0) return new Set();
  const [here] = await tx.query<PresenceRow[]>(
    "SELECT user_id FROM users WHERE user_id IN (?) AND presence <> 'AWAITED'",
    [userIds],
  );
  const known = new Set(here.map((row) => row.user_id));
  const others = [...new Set(userIds)].filter((userId) => !known.has(userId)).sort((a, b) => a - b);
  if (others.length === 0) return new Set();
  await tx.query(
    `INSERT INTO users (user_id, updated_at, presence) VALUES ${others.map(() => "(?, UTC_TIMESTAMP(3), 'AWAITED')").join(", ")}
     ON DUPLICATE KEY UPDATE user_id = VALUES(user_id)`,
    others,
  );
  const [rows] = await tx.query<PresenceRow[]>(
    "SELECT user_id FROM users FORCE INDEX (PRIMARY) WHERE user_id IN (?) AND presence = 'AWAITED' ORDER BY user_id FOR UPDATE",
    [others],
  );
  return new Set(rows.map((row) => row.user_id));
}
