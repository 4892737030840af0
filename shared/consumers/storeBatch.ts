import type { EventBatch, ReceivedEvent } from "../bus/eventBus.js";
import { ChatError } from "../platform/errors.js";
import { log } from "../platform/log.js";
import { annotate } from "../platform/trace.js";
import { mayCommitLater, smallerBatch } from "../store/failures.js";
import {
  beginStream,
  lockPosition,
  mayBroadcast,
  movePosition,
  moveStored,
  type Stream,
  type StreamPosition,
} from "../store/streamPositions.js";
import { inTransaction, type Transaction } from "../store/transaction.js";
import { publishDeadLetters } from "./deadLetters.js";
import { type ConsumeDeps, instanceOf, requireTime } from "./deps.js";
import type { BatchHandler, Progress, Stored, StoreEvents, Try } from "./handler.js";
import { step } from "./observed.js";
import { hasOtherEvent } from "./timeline.js";

/** Without numbers that have no event: the position moves over them. */
export const real = (events: readonly ReceivedEvent[]): readonly ReceivedEvent[] =>
  events.filter((event) => !event.absent);

export const rangeOf = ({ hub, partitionId, events }: EventBatch): object => ({
  hub,
  partitionId,
  first: events[0]?.sequenceNumber,
  last: events.at(-1)?.sequenceNumber,
});

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
export async function storeBatch<Result>(
  stream: Stream,
  events: readonly ReceivedEvent[],
  deps: Try<Result>,
): Promise<Progress<Result>> {
  try {
    return await step("store", stream, events.length, () =>
      storeInOne(stream, events, deps, deps.handler.lookUp),
    );
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
  const nothing = async () => ({ result: () => deps.handler.nothing, refused });
  return storeInOne(stream, events, deps, async () => nothing);
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
    const one: Progress<Result> = await storeBatch(stream, events.slice(from, from + size), deps);
    if (one.kind === "behind" || one.kind === "goneBack") return one;
    // What another instance has stored in between has to be shown in between, too: with what is not shown yet.
    const isNext =
      progress?.kind === "stored" && one.kind === "stored" && one.position.stored === progress.last;
    progress = isNext ? combined(progress as Stored<Result>, one as Stored<Result>, deps.handler) : one;
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
  // The position is that of the first, so it must have been theirs by then.
  isBroadcaster: first.isBroadcaster && second.isBroadcaster,
});

/** One transaction: the position and what the events lead to, all or nothing. */
async function storeInOne<Result>(
  stream: Stream,
  events: readonly ReceivedEvent[],
  deps: Try<Result>,
  lookUp: BatchHandler<Result>["lookUp"],
): Promise<Progress<Result>> {
  const batch = { stream, events, deps, lookUp };
  const progress =
    (await inTransaction(deps.database, (tx) => storeNext(tx, batch))) ??
    (await inTransaction(deps.database, (tx) => storeFollowing(tx, batch)));
  return progress.kind === "stored" ? { ...progress, result: progress.result() } : progress;
}

interface Batch<Result> {
  readonly stream: Stream;
  readonly events: readonly ReceivedEvent[];
  readonly deps: Try<Result>;
  readonly lookUp: BatchHandler<Result>["lookUp"];
}

/** Stores a batch that begins just behind the position, as nearly all do. Of another one it does nothing. */
async function storeNext<Result>(
  tx: Transaction,
  batch: Batch<Result>,
): Promise<Stored<() => Result> | undefined> {
  const { stream, events, lookUp } = batch;
  const [position, store] = await Promise.all([lockPosition(tx, stream), lookUp(tx, real(events))]);
  if (!position || events[0]!.sequenceNumber !== position.stored + 1) return undefined;
  annotate(() => ({ "chat.events.stored_before": 0 }));
  return storeBehind(tx, position, store, batch);
}

/** Stores what is not stored yet. While the bus is asked nothing is locked but the position. */
async function storeFollowing<Result>(
  tx: Transaction,
  { stream, events: batch, deps, lookUp }: Batch<Result>,
): Promise<Progress<() => Result>> {
  const position = (await lockPosition(tx, stream)) ?? (await begin(tx, stream, deps));
  const following = batch.filter((event) => event.sequenceNumber > position.stored);
  const [first] = following;
  annotate(() => ({ "chat.events.stored_before": batch.length - following.length }));
  if (following.length < batch.length || first?.sequenceNumber !== position.stored + 1)
    await requireSameHub(stream, deps);
  if (hasOtherEvent(position, batch)) return { kind: "goneBack", position };
  if (!first) return { kind: "storedBefore", position };
  if (first.sequenceNumber !== position.stored + 1) return { kind: "behind", position };
  const store = await lookUp(tx, real(following));
  return storeBehind(tx, position, store, { stream, events: following, deps, lookUp });
}

async function storeBehind<Result>(
  tx: Transaction,
  position: StreamPosition,
  store: StoreEvents<Result>,
  { stream, events, deps }: Batch<Result>,
): Promise<Stored<() => Result>> {
  const { result, refused } = await store();
  if (refused.length > 0) {
    // What can't be stored at all must not have been dead-lettered by then.
    await tx.flush();
    await publishDeadLetters(stream, refused, deps.handler.deadLetterHub, deps.bus);
  }
  const { sequenceNumber: last, enqueuedOn } = events.at(-1)!;
  const instance = instanceOf(deps);
  const isBroadcaster = mayBroadcast(position, instance);
  move(tx, stream, last, enqueuedOn, deps.handler, isBroadcaster ? instance : undefined);
  annotate(() => ({ "chat.events.refused": refused.length }));
  return { kind: "stored", position, last, result, refused, isBroadcaster };
}

export const move = (
  tx: Transaction,
  stream: Stream,
  to: number,
  on: Date | undefined,
  { shown }: { readonly shown: Pick<BatchHandler<unknown>["shown"], "kind"> },
  broadcaster?: string,
): void =>
  shown.kind === "byPosition"
    ? moveStored(tx, stream, to, on, broadcaster)
    : movePosition(tx, stream, to, on);

/**
 * The position of a stream of which nothing is stored yet: just before the first event that the hub still
 * has.
 */
async function begin(tx: Transaction, stream: Stream, { bus }: ConsumeDeps): Promise<StreamPosition> {
  await beginStream(tx, stream, (await bus.firstSequenceNumber(stream.hub, stream.partitionId)) - 1);
  return (await lockPosition(tx, stream))!;
}
