import { log } from "../platform/log.js";
import type { Database } from "../store/database.js";
import { rememberUser } from "../store/users.js";

/** Remembers what a token says of its user. Never throws: a user may connect while that can't be done. */
export async function rememberIdentity(
  identity: Parameters<typeof rememberUser>[1],
  database: Database,
): Promise<void> {
  await rememberUser(database, identity).catch((error: unknown) =>
    log.warn("a user's nickname could not be remembered", { userId: identity.userId, error }),
  );
}
