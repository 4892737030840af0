import type { Database } from "../store/database.js";
import { giveBackAbandonedReads, listRoomsWithReads } from "../store/readOutbox.js";
import type { ReadsDeps } from "./deps.js";

const ROOMS_PER_SWEEP = 2_000;

/** Schedules the rooms whose reads a process left behind when it died, or could not broadcast. */
export async function sweepReads({
  database,
  scheduleReads,
}: { readonly database: Database } & Pick<ReadsDeps, "scheduleReads">): Promise<void> {
  await giveBackAbandonedReads(database);
  for (const roomId of await listRoomsWithReads(database, ROOMS_PER_SWEEP)) scheduleReads(roomId);
}
