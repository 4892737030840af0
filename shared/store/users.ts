import type { RowDataPacket } from "mysql2/promise";
import type { Queryable } from "./database.js";

export interface User {
  readonly nickname: string | null;
  readonly profileImageUrl: string | null;
}

/** What a user is called who has never shown a token with a nickname. */
export const namelessUser = (userId: number): string => `User ${userId}`;

/** What is known of these users, by their ids; nothing of those who never came. */
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
