import type { RowDataPacket } from "mysql2/promise";
import type { NamedUser } from "../events/messages.js";
import type { Queryable } from "./database.js";

export interface User {
  readonly nickname: string | null;
  readonly profileImageUrl: string | null;
}

/**
 * Whether a user has been here, which is from their first verified token. `AWAITED`: never yet, but somebody has made them a member. `ARRIVING`: has
 * come, and memberships from before are being given a position. Never goes back.
 */
export type Presence = "AWAITED" | "ARRIVING" | "PRESENT";

/** What a user is called who has never shown a token with a nickname. */
export const namelessUser = (userId: number): string => `User ${userId}`;

/** What is known of these users, by their ids; nothing of those of whom nothing was ever said. */
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

/** How these users are called. */
export async function namesOf(
  db: Queryable,
  userIds: readonly number[],
): Promise<(userId: number) => NamedUser> {
  const users = await findUsers(db, userIds);
  return (userId) => ({ userId, nickname: users.get(userId)?.nickname ?? namelessUser(userId) });
}

/** Remembers what a user's latest token says of them; what a token does not say stays as it was. */
export async function rememberUser(
  db: Queryable,
  user: { readonly userId: number; readonly nickname?: string; readonly picture?: string },
): Promise<void> {
  if (user.nickname === undefined && user.picture === undefined) return;
  await db.query(
    `INSERT INTO users (user_id, nickname, profile_image_url, updated_at) VALUES (?, ?, ?, UTC_TIMESTAMP(3))
     ON DUPLICATE KEY UPDATE nickname = COALESCE(VALUES(nickname), nickname),
       profile_image_url = COALESCE(VALUES(profile_image_url), profile_image_url), updated_at = VALUES(updated_at)`,
    [user.userId, user.nickname ?? null, user.picture ?? null],
  );
}

/** A user's presence, or nothing of one who neither came nor is awaited. */
export async function findPresence(db: Queryable, userId: number): Promise<Presence | undefined> {
  const [rows] = await db.query<PresenceRow[]>("SELECT user_id, presence FROM users WHERE user_id = ?", [
    userId,
  ]);
  return rows[0]?.presence;
}

/**
 * A user has shown a verified token: who was awaited is `ARRIVING` from now on, who is new is `PRESENT`. Waits for transactions that are just
 * making the user an awaited member: afterwards all such memberships can be seen, and no more are made.
 */
export async function noteArrival(db: Queryable, userId: number): Promise<void> {
  await db.query(
    `INSERT INTO users (user_id, updated_at, presence) VALUES (?, UTC_TIMESTAMP(3), 'PRESENT')
     ON DUPLICATE KEY UPDATE presence = IF(presence = 'AWAITED', 'ARRIVING', presence)`,
    [userId],
  );
}

/** A user who was arriving has a position in every room. */
export async function notePresence(db: Queryable, userId: number): Promise<void> {
  await db.query("UPDATE users SET presence = 'PRESENT' WHERE user_id = ?", [userId]);
}

interface PresenceRow extends RowDataPacket {
  user_id: number;
  presence: Presence;
}

/**
 * Which of these users, who are about to become members, have never been here. They are noted as awaited, and can't arrive before the transaction
 * ends: their rows are locked, in the order of their ids; those of users who have been here are not, because that never changes.
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
