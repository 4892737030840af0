import type { ConsumeDeps } from "../consumers/deps.js";
import type { SendDeps } from "../fanout/send.js";
import type { MembersCache } from "../redis/ports.js";

/** What storing and showing messages needs. */
export interface MessagesDeps extends ConsumeDeps, SendDeps {
  readonly members: MembersCache;
  /** Has the moves of read positions that wait in a room broadcast soon. */
  readonly scheduleReads: (roomId: number) => void;
}
