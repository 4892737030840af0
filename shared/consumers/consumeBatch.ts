import { setTimeout as pause } from "node:timers/promises";
import type { EventBatch, ReceivedEvent } from "../bus/eventBus.js";
import { ChatError, isToBeMended } from "../platform/errors.js";
import { log } from "../platform/log.js";
import { count } from "../platform/metrics.js";
import { annotate } from "../platform/trace.js";
import { inTransaction, type Queryable } from "../store/database.js";
import { mayCommitLater, smallerBatch } from "../store/failures.js";
import {
  beginStream,
  lockPosition,
  moveBroadcast,
  movePosition,
  moveStored,
  type Stream,
  type StreamPosition,
} from "../store/streamPositions.js";
import { publishDeadLetters, type Refused } from "./deadLetters.js";
import { type ConsumeDeps, requireTime, type TryDeps } from "./deps.js";
import { observed, processing, step } from "./observed.js";
import { isInHub, isToBeCompared } from "./sameHub.js";
import { hasOtherEvent, rewind } from "./timeline.js";

/**
 * What is done with the events of one hub, in the order in which `consumeBatch` calls it. `Result` is what
 * the transaction leaves for showing.
 */
export interface BatchHandler<Result> {
  /**
   * In the batch's transaction: stores consecutive events, but those that can never be stored, which it
   * returns with the reason.
   */
  readonly store: (
    tx: Queryable,
    events: readonly ReceivedEvent[],
  ) => Promise<{ readonly result: Result; readonly refused: readonly Refused[] }>;
  /** The hub that takes what was refused, before the commit. */
  readonly deadLetterHub: string;
  /** The result of storing nothing. */
  readonly nothing: Result;
  /** The results of two transactions as one. */
  readonly combine: (first: Result, second: Result) => Result;
  /** After the commit. */
  readonly show: (stream: Stream, result: Result, refused: readonly Refused[]) => Promise<void>;
  /**
   * How it is known what was shown. `byPosition`: the broadcast position moves when `show` has returned, and
   * events between the two positions go to `again`. `byOutbox`: `show` keeps what is still to be shown
   * itself, so there is no second position.
   */
  readonly shown:
    | {
        readonly kind: "byPosition";
        /** Shows events that were stored earlier but whose showing was interrupted. */
        readonly again: (stream: Stream, events: readonly ReceivedEvent[]) => Promise<void>;
      }
    | { readonly kind: "byOutbox" };
}

const RECOVERED_AT_ONCE = 500;
const RETRY_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Stores a batch of one partition and shows it. Every event ends stored, skipped because it was stored
 * before, or dead-lettered. The position in MySQL decides what is stored before. The host's checkpoint does
 * not: it can run ahead (it moves when the function throws, too) and behind. Passing failures are retried
 * with growing pauses, then thrown.
 */
export async function consumeBatch<Result>(
  batch: EventBatch,
  handler: BatchHandler<Result>,
  deps: ConsumeDeps,
): Promise<void> {
  if (batch.events.length > 0) await observed(deps.bus.system, batch, () => consume(batch, handler, deps));
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
        const done = await storeThenShow({ ...batch, events }, { ...deps, deadline, handler });
        if (done) deps.onBatch?.(done.stream, done.before, events);
      }
      return;
    } catch (error) {
      const wait = Math.min(RETRY_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS);
      // What has to be mended takes longer than this call. The fault is logged where it was found, and the
      // host tries again.
      if (!mayCommitLater(error) || isToBeMended(error) || deps.now() + wait > deadline) throw error;
      log.warn("a batch is tried again", { ...rangeOf(batch), attempt, wait, error });
      await pause(wait);
    }
  }
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

/** Without numbers that have no event: the position moves over them. */
const real = (events: readonly ReceivedEvent[]): readonly ReceivedEvent[] =>
  events.filter((event) => !event.absent);

const rangeOf = ({ hub, partitionId, events }: EventBatch): object => ({
  hub,
  partitionId,
  first: events[0]?.sequenceNumber,
  last: events.at(-1)?.sequenceNumber,
});

/** What a try works with. */
interface Try<Result> extends TryDeps {
  readonly handler: BatchHandler<Result>;
}

/** Events up to `last` have just been stored; `position` is where the stream stood before. */
interface Stored<Result> {
  readonly kind: "stored";
  readonly position: StreamPosition;
  readonly last: number;
  readonly result: Result;
  readonly refused: readonly Refused[];
}

/**
 * What one transaction did. Nothing, where the batch begins later than the position (`behind`), or has another
 * event under the position's number (`goneBack`).
 */
type Progress<Result> =
  | Stored<Result>
  | { readonly kind: "storedBefore" | "behind" | "goneBack"; readonly position: StreamPosition };

/** Returns where the stream stood before. Nothing for a batch that was left out. */
async function storeThenShow<Result>(
  batch: EventBatch,
  deps: Try<Result>,
): Promise<{ readonly stream: Stream; readonly before: StreamPosition } | undefined> {
  const stream = await streamOf(batch, deps);
  if (isToBeCompared(stream, deps) && !(await isInHub(stream, batch, deps))) return undefined;
  await deps.beforeBatch?.(stream);
  let progress = await store(stream, batch.events, deps);
  if (progress.kind === "behind" && !(await isInHub(stream, batch, deps))) return undefined;
  while (progress.kind === "behind" || progress.kind === "goneBack") {
    requireTime(deps);
    if (progress.kind === "goneBack") await rewind(stream, progress.position, deps);
    else await fillHole(stream, progress.position.stored + 1, batch.events[0]!.sequenceNumber - 1, deps);
    progress = await store(stream, batch.events, deps);
  }
  const { stored } = progress.position;
  count.replayed(stream.hub, "skipped", batch.events.filter((one) => one.sequenceNumber <= stored).length);
  await show(stream, progress, deps);
  return { stream, before: progress.position };
}

async function streamOf({ hub, partitionId }: EventBatch, { bus }: ConsumeDeps): Promise<Stream> {
  return { hub, partitionId, hubId: await bus.hubId(hub) };
}

/**
 * A hub that was deleted and made again counts from 0, so an event that looks stored before, or behind, may
 * be neither. Throws `UNAVAILABLE` in that case. The next try knows the new hub.
 */
async function requireSameHub(stream: Stream, { bus }: ConsumeDeps): Promise<void> {
  if ((await bus.hubId(stream.hub, "fresh")) !== stream.hubId)
    throw new ChatError("UNAVAILABLE", "The hub was made anew; its events are stored from the beginning.");
}

/**
 * Stores those of these consecutive events that are not stored yet. Where that fails at a limit of the
 * database (the size of a packet or a transaction, a wait for locks), the events are stored in two halves. An
 * event that fails for good is found by storing them singly, and dead-lettered.
 */
async function store<Result>(
  stream: Stream,
  events: readonly ReceivedEvent[],
  deps: Try<Result>,
): Promise<Progress<Result>> {
  try {
    const inOne = (tx: Queryable) => storeIn(tx, stream, events, deps, deps.handler.store);
    return await step("store", stream, events.length, () => inTransaction(deps.database, inOne));
  } catch (error) {
    const smaller = smallerBatch(error);
    if (smaller && events.length > 1) return storeHalves(stream, events, error, deps);
    if (smaller !== "needed" && mayCommitLater(error)) throw error;
    log.error("a batch can't be stored as it is", { ...stream, error });
    return events.length === 1 ? refuse(stream, events, error, deps) : storeParts(stream, events, 1, deps);
  }
}

/** What the first half stored stays, and the next try goes on behind it. */
async function storeHalves<Result>(
  stream: Stream,
  events: readonly ReceivedEvent[],
  error: unknown,
  deps: Try<Result>,
): Promise<Progress<Result>> {
  log.warn("a batch is stored in two halves", { ...rangeOf({ ...stream, events }), error });
  requireTime(deps);
  return storeParts(stream, events, Math.ceil(events.length / 2), deps);
}

/** Dead-letters the event: nothing but another event or another limit of the database would help. */
async function refuse<Result>(
  stream: Stream,
  events: readonly ReceivedEvent[],
  error: unknown,
  deps: Try<Result>,
): Promise<Progress<Result>> {
  const text = error instanceof Error ? error.message : String(error);
  const refusal = new ChatError("INVALID_MESSAGE", `It can't be stored: ${text}`);
  const refused = events.map((event) => ({ event, error: refusal }));
  const nothing = async () => ({ result: deps.handler.nothing, refused });
  return inTransaction(deps.database, (tx) => storeIn(tx, stream, events, deps, nothing));
}

/** One transaction for each `size` events, in order. */
async function storeParts<Result>(
  stream: Stream,
  events: readonly ReceivedEvent[],
  size: number,
  deps: Try<Result>,
): Promise<Progress<Result>> {
  let progress: Progress<Result> | undefined;
  for (let from = 0; from < events.length; from += size) {
    const one: Progress<Result> = await store(stream, events.slice(from, from + size), deps);
    if (one.kind === "behind" || one.kind === "goneBack") return one;
    progress =
      progress?.kind === "stored" && one.kind === "stored" ? combined(progress, one, deps.handler) : one;
  }
  return progress!;
}

const combined = <Result>(
  first: Stored<Result>,
  second: Stored<Result>,
  handler: BatchHandler<Result>,
): Stored<Result> => ({
  ...second,
  position: first.position,
  result: handler.combine(first.result, second.result),
  refused: [...first.refused, ...second.refused],
});

/** One transaction: the position and what the events lead to, all or nothing. */
async function storeIn<Result>(
  tx: Queryable,
  stream: Stream,
  batch: readonly ReceivedEvent[],
  deps: Try<Result>,
  storeEvents: BatchHandler<Result>["store"],
): Promise<Progress<Result>> {
  const position = (await lockPosition(tx, stream)) ?? (await begin(tx, stream, deps));
  const following = batch.filter((event) => event.sequenceNumber > position.stored);
  const [first] = following;
  annotate(() => ({ "chat.events.stored_before": batch.length - following.length }));
  if (following.length < batch.length || first?.sequenceNumber !== position.stored + 1)
    await requireSameHub(stream, deps);
  if (hasOtherEvent(position, batch)) return { kind: "goneBack", position };
  if (!first) return { kind: "storedBefore", position };
  if (first.sequenceNumber !== position.stored + 1) return { kind: "behind", position };
  const events = real(following);
  const { result, refused } = await (events.length > 0 ? storeEvents(tx, events) : nothingOf(deps.handler));
  await publishDeadLetters(stream, refused, deps.handler.deadLetterHub, deps.bus);
  const { sequenceNumber: last, enqueuedOn } = following.at(-1)!;
  await move(tx, stream, last, enqueuedOn, deps.handler);
  annotate(() => ({ "chat.events.refused": refused.length }));
  return { kind: "stored", position, last, result, refused };
}

const nothingOf = <Result>({ nothing }: BatchHandler<Result>) => ({ result: nothing, refused: [] });

const move = (
  tx: Queryable,
  stream: Stream,
  to: number,
  on: Date | undefined,
  { shown }: Pick<BatchHandler<unknown>, "shown">,
): Promise<void> =>
  shown.kind === "byPosition" ? moveStored(tx, stream, to, on) : movePosition(tx, stream, to, on);

/**
 * The position of a stream of which nothing is stored yet: just before the first event that the hub still
 * has.
 */
async function begin(tx: Queryable, stream: Stream, { bus }: ConsumeDeps): Promise<StreamPosition> {
  await beginStream(tx, stream, (await bus.firstSequenceNumber(stream.hub, stream.partitionId)) - 1);
  return (await lockPosition(tx, stream))!;
}

/** Shows what was just stored. Events that an earlier failure left stored but not shown come first. */
async function show<Result>(
  stream: Stream,
  progress: Exclude<Progress<Result>, { readonly kind: "behind" | "goneBack" }>,
  deps: Try<Result>,
): Promise<void> {
  const { position } = progress;
  const { handler } = deps;
  if (position.broadcast < position.stored)
    await showAgain(stream, position.broadcast + 1, position.stored, deps);
  if (progress.kind !== "stored") return;
  const { last, result, refused } = progress;
  await step("broadcast", stream, last - position.stored, () => handler.show(stream, result, refused));
  if (handler.shown.kind === "byPosition") await moveBroadcast(deps.database, stream, last);
}

async function showAgain<Result>(stream: Stream, from: number, to: number, deps: Try<Result>): Promise<void> {
  const { shown } = deps.handler;
  log.warn("stored events are broadcast again", { ...stream, from, to });
  for (let next = from; next <= to; ) {
    requireTime(deps);
    const { events, first } = await readAgain(stream, next, to, deps);
    const shownBefore = real(events);
    count.replayed(stream.hub, "shown", shownBefore.length);
    if (shown.kind === "byPosition" && shownBefore.length > 0)
      await processing(deps.bus.system, { ...stream, events }, () => shown.again(stream, shownBefore));
    next = (events.at(-1)?.sequenceNumber ?? first - 1) + 1;
    await moveBroadcast(deps.database, stream, next - 1);
  }
}

/**
 * Stores the events that the host left out before this batch, read from the hub, which keeps them for days.
 * Those it no longer has are lost; the log says so.
 */
async function fillHole<Result>(stream: Stream, from: number, to: number, deps: Try<Result>): Promise<void> {
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
      if (position?.stored === from - 1) await move(tx, stream, first - 1, undefined, deps.handler);
    });
  }
  if (events.length === 0) return;
  count.replayed(stream.hub, "recovered", events.length);
  await processing(deps.bus.system, { ...stream, events }, async () => {
    const progress = await store(stream, events, deps);
    if (progress.kind === "stored") await show(stream, progress, deps);
  });
}

/**
 * The next events of a range, and the number of the first one that the hub still has, or of the one behind
 * the range. Only the mark that retention sets proves that events are gone. Where they just can't be seen, it
 * throws `UNAVAILABLE`.
 */
async function readAgain(
  { hub, partitionId }: Stream,
  from: number,
  to: number,
  { bus }: ConsumeDeps,
): Promise<{ events: readonly ReceivedEvent[]; first: number }> {
  const events = await bus.readRange(hub, partitionId, from, to, RECOVERED_AT_ONCE);
  if (events[0]?.sequenceNumber === from) return { events, first: from };
  const kept = await bus.firstSequenceNumber(hub, partitionId);
  if (kept <= from) throw new ChatError("UNAVAILABLE", `The hub does not show event ${from} right now.`);
  return { events, first: events[0]?.sequenceNumber ?? Math.min(kept, to + 1) };
}
