import { setTimeout as pause } from "node:timers/promises";
import type { EventBatch, EventBus, ReceivedEvent } from "../bus/eventBus.js";
import { ChatError, errorBody } from "../errors.js";
import type { ShownMessage, StoredMessage } from "../events/messageShown.js";
import { unreadCounter } from "../events/messageShown.js";
import { dedupeKey, parseMessageSent } from "../events/messages.js";
import { log } from "../log.js";
import { inTransaction, isPassing, type Queryable } from "../store/database.js";
import { findByDedupeKeys, findMessageIds, insertMessages } from "../store/messages.js";
import { countReadPositions, moveReadPositions, moveRoomsForward } from "../store/rooms.js";
import {
  beginStream,
  lockPosition,
  moveBroadcast,
  moveStored,
  type Stream,
  type StreamPosition,
} from "../store/streamPositions.js";
import { type BroadcastDeps, broadcastErrors, broadcastMessages } from "./broadcastMessages.js";
import { publishDeadLetters } from "./deadLetters.js";
import { type Decision, decideMessages, type Refused } from "./decideMessages.js";

export interface StoreDeps extends BroadcastDeps {
  readonly bus: EventBus;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** For how many milliseconds a passing failure is retried here before it is thrown to the host's own retries. */
  readonly retryBudgetMs: number;
}

const RETRY_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;
const RECOVERED_AT_ONCE = 500;

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
      await storeThenShow(batch, deps);
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
type Outcome =
  | {
      readonly kind: "stored";
      readonly position: StreamPosition;
      readonly last: number;
      readonly shown: readonly ShownMessage[];
      readonly refused: readonly Refused[];
    }
  | { readonly kind: "storedBefore"; readonly position: StreamPosition }
  | { readonly kind: "behind"; readonly position: StreamPosition };

async function storeThenShow(batch: EventBatch, deps: StoreDeps): Promise<void> {
  const stream = await streamOf(batch, deps);
  let outcome = await store(stream, batch.events, deps);
  if (outcome.kind !== "stored" && (await wasMadeAnew(stream, deps))) return storeThenShow(batch, deps);
  while (outcome.kind === "behind") {
    await fillHole(stream, outcome.position.stored + 1, batch.events[0]!.sequenceNumber - 1, deps);
    outcome = await store(stream, batch.events, deps);
  }
  await show(stream, outcome, deps);
}

async function streamOf({ hub, partitionId }: EventBatch, { bus }: StoreDeps): Promise<Stream> {
  return { hub, partitionId, hubCreatedOn: await bus.createdOn(hub) };
}

/** A hub that was deleted and made again counts from 0: what looks stored before, or behind, may be neither. */
async function wasMadeAnew(stream: Stream, { bus }: StoreDeps): Promise<boolean> {
  return (await bus.createdOn(stream.hub, "fresh")).getTime() !== stream.hubCreatedOn.getTime();
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
      repeats: 0,
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

const joined = (
  first: Extract<Outcome, { kind: "stored" }>,
  second: Extract<Outcome, { kind: "stored" }>,
): Outcome => ({
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
async function fillHole(stream: Stream, from: number, to: number, deps: StoreDeps): Promise<void> {
  log.warn("events are missing before this batch and are read again", { ...stream, from, to });
  const events = await deps.bus.readRange(stream.hub, stream.partitionId, from, to, RECOVERED_AT_ONCE);
  const found = events[0]?.sequenceNumber ?? to + 1;
  if (found > from) {
    log.error("events are lost: the hub does not have them any more", {
      ...stream,
      from,
      to: found - 1,
      lost: found - from,
    });
    await inTransaction(deps.database, async (tx) => {
      const position = await lockPosition(tx, stream);
      if (position?.stored === from - 1) await moveStored(tx, stream, found - 1);
    });
  }
  if (events.length === 0) return;
  const outcome = await store(stream, events, deps);
  if (outcome.kind === "stored") await show(stream, outcome, deps);
}

/** Broadcasts what was just stored, and before it whatever an earlier failure left stored but not broadcast. */
async function show(
  stream: Stream,
  outcome: Exclude<Outcome, { kind: "behind" }>,
  deps: StoreDeps,
): Promise<void> {
  const { position } = outcome;
  if (position.broadcast < position.stored)
    await showAgain(stream, position.broadcast + 1, position.stored, deps);
  if (outcome.kind !== "stored") return;
  await broadcastMessages(outcome.shown, deps);
  await broadcastErrors(
    outcome.refused.flatMap((refused) => toldTo(stream, refused)),
    deps,
  );
  await moveBroadcast(deps.database, stream, outcome.last);
}

function toldTo(
  stream: Stream,
  { message, error, event }: Refused,
): { userId: number; messageId: string; body: string }[] {
  if (!message) return [];
  return [
    {
      userId: message.senderId,
      messageId: `${stream.hub}-${stream.partitionId}-${event.sequenceNumber}`,
      body: errorBody(error),
    },
  ];
}

/** Broadcasts events that were stored earlier, from the database. Clients drop by `seq` what they have seen. */
async function showAgain(stream: Stream, from: number, to: number, deps: StoreDeps): Promise<void> {
  log.warn("stored events are broadcast again", { ...stream, from, to });
  for (let next = from; next <= to; ) {
    const events = await deps.bus.readRange(stream.hub, stream.partitionId, next, to, RECOVERED_AT_ONCE);
    await broadcastMessages(await storedOf(events, deps), deps);
    next = (events.at(-1)?.sequenceNumber ?? to) + 1;
    await moveBroadcast(deps.database, stream, next - 1);
  }
}

async function storedOf(
  events: readonly ReceivedEvent[],
  { database }: StoreDeps,
): Promise<readonly ShownMessage[]> {
  const keys = new Map<number, Buffer[]>();
  for (const event of events) {
    try {
      const message = parseMessageSent(event.body);
      keys.set(message.roomId, [...(keys.get(message.roomId) ?? []), dedupeKey(message)]);
    } catch (error) {
      // It was dead-lettered when the batch was stored: there is nothing to show.
      if (!(error instanceof ChatError)) throw error;
    }
  }
  const messages = [...(await findByDedupeKeys(database, keys)).values()].sort((a, b) => a.seq - b.seq);
  const counters = new Map<number, (seq: number) => number>();
  for (const roomId of keys.keys())
    counters.set(roomId, unreadCounter(await countReadPositions(database, roomId)));
  return messages.map((message) => ({ message, unreadCount: counters.get(message.roomId)!(message.seq) }));
}
