import { setTimeout as pause } from "node:timers/promises";
import type { EventBatch, EventBus, ReceivedEvent } from "../bus/eventBus.js";
import { fullJitter, oneByOne } from "../platform/async.js";
import { isToBeMended } from "../platform/errors.js";
import { log } from "../platform/log.js";
import { count } from "../platform/metrics.js";
import { mayCommitLater } from "../store/failures.js";
import { endBroadcast, type Stream, type StreamPosition } from "../store/streamPositions.js";
import { type ConsumeDeps, instanceOf, requireTime } from "./deps.js";
import { fillHole } from "./fillHole.js";
import type { BatchHandler, Progress, Try } from "./handler.js";
import { observed } from "./observed.js";
import { isInHub, isToBeCompared } from "./sameHub.js";
import { goesOn, showBatch } from "./showBatch.js";
import { rangeOf, storeBatch } from "./storeBatch.js";
import { rewind } from "./timeline.js";
import { ended, isClosing, takeOver, type UnderWay } from "./underWay.js";

const RETRY_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;

/**
 * The batches in this process, of each bus. A trigger and a catch-up may have the same partition. Each would show
 * again what the other has stored and is just showing.
 */
const inTurn = oneByOne<EventBus>();

/**
 * Stores a batch of one partition and shows it. Every event ends stored, skipped because it was stored
 * before, or dead-lettered. The position in MySQL decides what is stored before. The host's checkpoint does
 * not: it can run ahead (it moves when the function throws, too) and behind. Passing failures are retried
 * with growing pauses, then thrown. Of one partition one batch at a time is stored in this process.
 *
 * Where `deps.showsBehind` says so, a batch that takes long to show is still being shown when this returns, so that the
 * next one is stored meanwhile: what a flooded room is sent must not keep the other rooms of its partition waiting.
 * The next batch's own call returns no sooner than that has ended. A failure that comes so late is seen to here.
 */
export async function consumeBatch<Result>(
  batch: EventBatch,
  handler: BatchHandler<Result>,
  deps: ConsumeDeps,
): Promise<void> {
  if (batch.events.length === 0) return;
  const { hub, partitionId } = batch;
  await observed(deps.bus.system, batch, () =>
    inTurn(deps.bus, `${hub} ${partitionId}`, () => consume(batch, handler, deps)),
  );
}

async function consume<Result>(
  batch: EventBatch,
  handler: BatchHandler<Result>,
  deps: ConsumeDeps,
): Promise<void> {
  const deadline = deps.now() + deps.retryBudgetMs;
  for (let attempt = 0; ; attempt += 1) {
    try {
      for (const events of runsOf(batch.events)) {
        const showLater = (): void => inBackground(batch, handler, deps);
        const done = await storeThenShow({ ...batch, events }, { handler, showLater, ...deps, deadline });
        if (done) deps.onBatch?.(done.stream, done.before, events);
      }
      return;
    } catch (error) {
      const wait = Math.min(RETRY_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS);
      // What has to be mended takes longer than this call. The fault is logged where it was found, and the
      // host tries again.
      if (!mayCommitLater(error) || isToBeMended(error) || deps.now() + wait > deadline) throw error;
      log.warn("a batch is tried again", { ...rangeOf(batch), attempt, wait, error });
      await pause(fullJitter(wait));
    }
  }
}

/** Shows what a call has left behind and could not be shown. Where that fails again, the sweep finds it. */
function inBackground<Result>(batch: EventBatch, handler: BatchHandler<Result>, deps: ConsumeDeps): void {
  if (isClosing(deps.bus)) return;
  inTurn(deps.bus, `${batch.hub} ${batch.partitionId}`, () => consume(batch, handler, deps)).catch(
    (error: unknown) => log.error("a batch is stored and can't be shown", { ...rangeOf(batch), error }),
  );
}

/**
 * The events in runs without a gap. What is missing between two runs is read from the hub, like what is
 * missing before the first.
 */
function runsOf(events: readonly ReceivedEvent[]): readonly (readonly ReceivedEvent[])[] {
  const runs: ReceivedEvent[][] = [];
  for (const event of events) {
    const run = runs.at(-1);
    if (run && event.sequenceNumber === run.at(-1)!.sequenceNumber + 1) run.push(event);
    else runs.push([event]);
  }
  return runs;
}

/**
 * A batch that can't be shown beside the one before it waits for its end, and asks then whose turn it is and what is
 * shown.
 */
async function afterIt<Result>(
  before: UnderWay,
  stream: Stream,
  progress: Progress<Result>,
  deps: Try<Result>,
): Promise<Progress<Result>> {
  await ended(before);
  // It left its lease to this one.
  await endBroadcast(deps.database, stream, instanceOf(deps));
  return progress.kind === "stored" ? { ...progress, isBroadcaster: false } : progress;
}

/** Returns where the stream stood before. Nothing for a batch that was left out. */
async function storeThenShow<Result>(
  batch: EventBatch,
  deps: Try<Result>,
): Promise<{ readonly stream: Stream; readonly before: StreamPosition } | undefined> {
  const stream = await streamOf(batch, deps);
  if (isToBeCompared(stream, deps) && !(await isInHub(stream, batch, deps))) return undefined;
  await deps.beforeBatch?.(stream);
  let before = await takeOver(stream, batch.events[0]!.sequenceNumber, deps);
  let progress = await storeBatch(stream, batch.events, deps);
  if (before && !goesOn(progress, before)) {
    progress = await afterIt(before, stream, progress, deps);
    before = undefined;
  }
  if (progress.kind === "behind" && !(await isInHub(stream, batch, deps))) return undefined;
  while (progress.kind === "behind" || progress.kind === "goneBack") {
    requireTime(deps);
    if (progress.kind === "goneBack") await rewind(stream, progress.position, deps);
    else await fillHole(stream, progress.position.stored + 1, batch.events[0]!.sequenceNumber - 1, deps);
    progress = await storeBatch(stream, batch.events, deps);
  }
  const { stored } = progress.position;
  count.replayed(stream.hub, "skipped", batch.events.filter((one) => one.sequenceNumber <= stored).length);
  await showBatch(stream, progress, deps, before);
  return { stream, before: progress.position };
}

async function streamOf({ hub, partitionId }: EventBatch, { bus }: ConsumeDeps): Promise<Stream> {
  return { hub, partitionId, hubId: await bus.hubId(hub) };
}
