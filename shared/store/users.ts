import type { Queryable } from "./database.js";

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
