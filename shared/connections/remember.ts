import type { Identity } from "../auth/verifier.js";
import { log } from "../platform/log.js";
import type { Database } from "../store/database.js";
import { rememberUser } from "../store/users.js";

/** Remembers what a token says of its user. Never throws: a user may connect while that can't be done. */
export async function rememberIdentity(identity: Identity, database: Database): Promise<void> {
  await rememberUser(database, identity).catch((error: unknown) =>
    log.warn("a user's nickname could not be remembered", { userId: identity.userId, error }),
  );
}
