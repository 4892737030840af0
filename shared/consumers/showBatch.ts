import { log } from "../platform/log.js";
import { count } from "../platform/metrics.js";
import { moveBroadcast, type Stream, type StreamPosition } from "../store/streamPositions.js";
import { requireTime } from "./deps.js";
import type { Progress, Try } from "./handler.js";
import { processing, step } from "./observed.js";
import { readAgain } from "./readAgain.js";
import { real } from "./storeBatch.js";

/** Shows what was just stored. Events that an earlier failure left stored but not shown come first. */
export async function showBatch<Result>(
  stream: Stream,
  progress: Exclude<Progress<Result>, { readonly kind: "behind" | "goneBack" }>,
  deps: Try<Result>,
): Promise<void> {
  const { position } = progress;
  const { handler } = deps;
  if (position.broadcast < position.stored) await showAgain(stream, position, deps);
  if (progress.kind !== "stored") return;
  const { last, result, refused } = progress;
  await step("broadcast", stream, last - position.stored, () => handler.show(stream, result, refused));
  if (handler.shown.kind === "byPosition") await moveBroadcast(deps.database, stream, last);
}

async function showAgain<Result>(stream: Stream, position: StreamPosition, deps: Try<Result>): Promise<void> {
  const { shown } = deps.handler;
  const [from, to] = [position.broadcast + 1, position.stored];
  log.warn("stored events are broadcast again", { ...stream, from, to });
  for (let next = from; next <= to; ) {
    requireTime(deps);
    const { events, first } = await readAgain(stream, next, to, deps);
    const shownBefore = real(events);
    count.replayed(stream.hub, "shown", shownBefore.length);
    if (shown.kind === "byPosition" && shownBefore.length > 0)
      await processing(deps.bus.system, { ...stream, events }, () =>
        shown.again(stream, shownBefore, position),
      );
    next = (events.at(-1)?.sequenceNumber ?? first - 1) + 1;
    await moveBroadcast(deps.database, stream, next - 1);
  }
}
