import { setTimeout as pause } from "node:timers/promises";
import type { EventBatch, ReceivedEvent } from "../bus/eventBus.js";
import { ChatError } from "../errors.js";
import type { ShownMessage, StoredMessage } from "../events/messageShown.js";
import { log } from "../log.js";
import { inTransaction, isPassing, type Queryable } from "../store/database.js";
import { findMessageIds, insertMessages } from "../store/messages.js";
import { moveReadPositions, moveRoomsForward } from "../store/rooms.js";
import {
  beginStream,
  lockPosition,
  moveStored,
  type Stream,
  type StreamPosition,
} from "../store/streamPositions.js";
import { publishDeadLetters } from "./deadLetters.js";
import { type Decision, decideMessages } from "./decideMessages.js";
import { readAgain, type Stored, type StoredBefore, show } from "./showMessages.js";
import { requireTime, type StoreDeps, type TryDeps } from "./storeDeps.js";

const RETRY_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Stores a batch of one partition and shows it. Every event ends stored, skipped because it was stored before, or
 * dead-lettered; what is stored is decided by the position in MySQL, not by the host's checkpoint, which can run ahead
 * (it moves when the function throws, too) and behind. Passing failures are retried with growing pauses, then thrown.
 */
export async function storeMessages(batch: EventBatch, deps: StoreDeps): Promise<void> {
  if (batch.events.length === 0) return;
  const deadline = deps.now() + deps.retryBudgetMs;
  for (let attempt = 0; ; attempt += 1) {
    try {
      await storeThenShow(batch, { ...deps, deadline });
      return;
    } catch (error) {
      const wait = Math.min(RETRY_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS);
      if (!isPassing(error) || deps.now() + wait > deadline) throw error;
      log.warn("a batch is tried again", { ...placeOf(batch), attempt, wait, error });
      await pause(wait);
    }
  }
}

const placeOf = ({ hub, partitionId, events }: EventBatch): object => ({
  hub,
  partitionId,
  first: events[0]?.sequenceNumber,
  last: events.at(-1)?.sequenceNumber,
});

/** What one transaction did. `behind`: the batch begins later than the position, so nothing was done. */
type Outcome = Stored | StoredBefore | { readonly kind: "behind"; readonly position: StreamPosition };

async function storeThenShow(batch: EventBatch, deps: TryDeps): Promise<void> {
  const stream = await streamOf(batch, deps);
  let outcome = await store(stream, batch.events, deps);
  while (outcome.kind === "behind") {
    requireTime(deps);
    await fillHole(stream, outcome.position.stored + 1, batch.events[0]!.sequenceNumber - 1, deps);
    outcome = await store(stream, batch.events, deps);
  }
  await show(stream, outcome, deps);
}

async function streamOf({ hub, partitionId }: EventBatch, { bus }: StoreDeps): Promise<Stream> {
  return { hub, partitionId, hubCreatedOn: await bus.createdOn(hub) };
}

/**
 * A hub that was deleted and made again counts from 0: what looks stored before, or behind, may be neither. Throws `UNAVAILABLE`
 * in that case; the next try knows the new hub.
 */
async function requireSameHub(stream: Stream, { bus }: StoreDeps): Promise<void> {
  const on = await bus.createdOn(stream.hub, "fresh");
  if (on.getTime() !== stream.hubCreatedOn.getTime())
    throw new ChatError("UNAVAILABLE", "The hub was made anew; its events are stored from the beginning.");
}

/** Stores what of these consecutive events is not stored yet. One that fails by itself for good is found by storing them singly, and dead-lettered. */
async function store(stream: Stream, events: readonly ReceivedEvent[], deps: StoreDeps): Promise<Outcome> {
  try {
    return await inTransaction(deps.database, (tx) => storeIn(tx, stream, events, deps, decideMessages));
  } catch (error) {
    if (isPassing(error)) throw error;
    log.error("a batch can't be stored as it is", { ...stream, error });
    return storeSingly(stream, events, error, deps);
  }
}

async function storeSingly(
  stream: Stream,
  events: readonly ReceivedEvent[],
  error: unknown,
  deps: StoreDeps,
): Promise<Outcome> {
  const [only] = events;
  if (events.length === 1 && only) {
    const text = error instanceof Error ? error.message : String(error);
    const refused = { event: only, error: new ChatError("INVALID_MESSAGE", `It can't be stored: ${text}`) };
    const decide = async (): Promise<Decision> => ({
      messages: [],

      refused: [refused],
      rooms: new Map(),
    });
    return inTransaction(deps.database, (tx) => storeIn(tx, stream, events, deps, decide));
  }
  let outcome: Outcome | undefined;
  for (const event of events) {
    const one: Outcome = await store(stream, [event], deps);
    if (one.kind === "behind") return one;
    outcome = outcome?.kind === "stored" && one.kind === "stored" ? joined(outcome, one) : one;
  }
  return outcome!;
}

const joined = (first: Stored, second: Stored): Stored => ({
  ...second,
  position: first.position,
  shown: [...first.shown, ...second.shown],
  refused: [...first.refused, ...second.refused],
});

/** One transaction: the position, the messages, their rooms' last message, their senders' read positions, all or nothing. */
async function storeIn(
  tx: Queryable,
  stream: Stream,
  events: readonly ReceivedEvent[],
  deps: StoreDeps,
  decide: typeof decideMessages,
): Promise<Outcome> {
  const position = (await lockPosition(tx, stream)) ?? (await begin(tx, stream, deps));
  const following = events.filter((event) => event.sequenceNumber > position.stored);
  const [first] = following;
  if (following.length < events.length || first?.sequenceNumber !== position.stored + 1)
    await requireSameHub(stream, deps);
  if (!first) return { kind: "storedBefore", position };
  if (first.sequenceNumber !== position.stored + 1) return { kind: "behind", position };
  const decision = await decide(tx, following);
  const shown = await write(tx, decision);
  await publishDeadLetters(stream, decision.refused, deps.bus);
  const last = following.at(-1)!.sequenceNumber;
  await moveStored(tx, stream, last);
  return { kind: "stored", position, last, shown, refused: decision.refused };
}

/** The position of a stream that nothing is stored of yet: just before what its hub still has. */
async function begin(tx: Queryable, stream: Stream, { bus }: StoreDeps): Promise<StreamPosition> {
  await beginStream(tx, stream, (await bus.firstSequenceNumber(stream.hub, stream.partitionId)) - 1);
  return (await lockPosition(tx, stream))!;
}

async function write(tx: Queryable, { messages, rooms }: Decision): Promise<readonly ShownMessage[]> {
  if (messages.length === 0) return [];
  await insertMessages(tx, messages);
  const ranges = new Map<number, [number, number]>();
  for (const { seq, event } of messages)
    ranges.set(event.roomId, [ranges.get(event.roomId)?.[0] ?? seq, seq]);
  const ids = await findMessageIds(tx, ranges);
  const shown = messages.map(({ seq, event }): ShownMessage => {
    const message: StoredMessage = {
      ...event,
      seq,
      messageId: ids.get(`${event.roomId}:${seq}`)!,
      sentAt: new Date(event.sentAt),
    };
    // Nobody else can have read what was not there; the sender has.
    return { message, unreadCount: rooms.get(event.roomId)!.memberCount - 1 };
  });
  const newest = new Map(shown.map(({ message }) => [message.roomId, message]));
  await moveRoomsForward(
    tx,
    [...newest.values()].map(({ roomId, seq, messageId, sentAt }) => ({
      roomId,
      lastSeq: seq,
      lastMessageId: messageId,
      at: sentAt,
    })),
  );
  const read = new Map(shown.map(({ message }) => [`${message.roomId}:${message.senderId}`, message]));
  await moveReadPositions(
    tx,
    [...read.values()].map(({ roomId, senderId, seq, messageId }) => ({
      roomId,
      userId: senderId,
      seq,
      messageId,
    })),
  );
  return shown;
}

/** Stores what the host left out before this batch, read from the hub itself, which keeps it for days; what it no longer has is lost, and said so. */
async function fillHole(stream: Stream, from: number, to: number, deps: TryDeps): Promise<void> {
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
      if (position?.stored === from - 1) await moveStored(tx, stream, first - 1);
    });
  }
  if (events.length === 0) return;
  const outcome = await store(stream, events, deps);
  if (outcome.kind === "stored") await show(stream, outcome, deps);
}
