import type { BroadcastDeps } from "../fanout/send.js";
import { listRoomsWithReads } from "../store/readOutbox.js";
import type { ReadMerger } from "./merge.js";

const ROOMS_PER_SWEEP = 2_000;

/** Has reads broadcast that a process left behind when it died, or could not broadcast: on the side, as other reads. */
export async function sweepReads({
  database,
  readMerger,
}: BroadcastDeps & { readonly readMerger: ReadMerger }): Promise<void> {
  for (const roomId of await listRoomsWithReads(database, ROOMS_PER_SWEEP)) readMerger.schedule(roomId);
}
