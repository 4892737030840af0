import { log } from "../platform/log.js";
import { count } from "../platform/metrics.js";
import { lockPosition, type Stream } from "../store/streamPositions.js";
import { inTransaction } from "../store/transaction.js";
import type { Try } from "./handler.js";
import { processing } from "./observed.js";
import { readAgain } from "./readAgain.js";
import { showBatch } from "./showBatch.js";
import { move, storeBatch } from "./storeBatch.js";

/**
 * Stores the events that the host left out before this batch, read from the hub, which keeps them for days.
 * Those it no longer has are lost; the log says so.
 */
export async function fillHole<Result>(
  stream: Stream,
  from: number,
  to: number,
  deps: Try<Result>,
): Promise<void> {
  log.warn("events are missing before this batch and are read again", { ...stream, from, to });
  const { events, first } = await readAgain(stream, from, to, deps);
  if (first > from) {
    log.error("events are lost: the hub does not have them any more", {
      ...stream,
      from,
      to: first - 1,
      lost: first - from,
    });
    await inTransaction(deps.database, async (tx) => {
      const position = await lockPosition(tx, stream);
      if (position?.stored === from - 1) move(tx, stream, first - 1, undefined, deps.handler);
    });
  }
  if (events.length === 0) return;
  count.replayed(stream.hub, "recovered", events.length);
  await processing(deps.bus.system, { ...stream, events }, async () => {
    const progress = await storeBatch(stream, events, deps);
    // The batch behind the hole would not know that this one is still being shown.
    if (progress.kind === "stored") await showBatch(stream, progress, { ...deps, showsBehind: false });
  });
}
