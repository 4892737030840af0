import type { SendDeps } from "../fanout/send.js";
import { broadcastTaken } from "./broadcast.js";
import type { ReadsDeps } from "./deps.js";
import type { NotedReads } from "./note.js";

/**
 * After the commit: broadcasts small rooms' moves, one send a room and subscription id, and schedules the
 * rooms in which others wait. Never throws: what can't be broadcast now is given back, and broadcast later.
 */
export async function showReads(
  { moves, takenBy, waiting }: NotedReads,
  deps: SendDeps & Pick<ReadsDeps, "scheduleReads">,
): Promise<void> {
  for (const roomId of new Set(waiting)) deps.scheduleReads(roomId);
  if (moves.length === 0) return;
  const failed = await broadcastTaken(moves, takenBy, () => false, deps);
  for (const roomId of failed) deps.scheduleReads(roomId);
}
