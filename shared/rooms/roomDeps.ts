import type { Database } from "../store/database.js";

/** What the HTTP calls on rooms need. */
export interface RoomDeps {
  readonly database: Database;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}
