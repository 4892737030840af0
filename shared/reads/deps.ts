import type { ConsumeDeps } from "../consumers/deps.js";
import type { SendDeps } from "../fanout/send.js";

/** What storing and showing reads needs. */
export interface ReadsDeps extends ConsumeDeps, SendDeps {
  /** Has the moves of read positions that wait in a room broadcast soon. */
  readonly scheduleReads: (roomId: number) => void;
}
