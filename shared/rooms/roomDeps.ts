import type { Broadcaster } from "../broadcast/broadcaster.js";
import type { EventBus } from "../bus/eventBus.js";
import type { MembersCache } from "../redis/ports.js";
import type { Database } from "../store/database.js";

/** What the calls that change or list rooms need. */
export interface RoomDeps {
  readonly database: Database;
  readonly bus: EventBus;
  readonly members: MembersCache;
  readonly broadcaster: Broadcaster;
  /** Schedules the broadcast of the moves of read positions that wait in a room. */
  readonly scheduleReads: (roomId: number) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}
