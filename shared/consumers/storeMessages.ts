import { setTimeout as pause } from "node:timers/promises";
import type { EventBatch, EventBus, ReceivedEvent } from "../bus/eventBus.js";
import { ChatError, errorBody } from "../errors.js";
import type { ShownMessage, StoredMessage } from "../events/messageShown.js";
import { unreadCounter } from "../events/messageShown.js";
import { dedupeKey, type MessageSent, parseMessageSent } from "../events/messages.js";
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

/** What one try needs: it ends by the deadline of all tries. */
interface TryDeps extends StoreDeps {
  readonly deadline: number;
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

/** Large holes are filled piece by piece, each of which stays: the next try goes on from there. */
function requireTime({ deadline, now }: TryDeps): void {
  if (now() > deadline) throw new ChatError("UNAVAILABLE", "Filling a hole takes longer than one call may.");
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

/**
 * The next events of a range, and the number of the first one that the hub still has, or of the one behind the range. Only retention's own mark
 * proves that events are gone; where they just can't be seen, it throws `UNAVAILABLE`.
 */
async function readAgain(
  { hub, partitionId }: Stream,
  from: number,
  to: number,
  { bus }: StoreDeps,
): Promise<{ events: readonly ReceivedEvent[]; first: number }> {
  const events = await bus.readRange(hub, partitionId, from, to, RECOVERED_AT_ONCE);
  if (events[0]?.sequenceNumber === from) return { events, first: from };
  const kept = await bus.firstSequenceNumber(hub, partitionId);
  if (kept <= from) throw new ChatError("UNAVAILABLE", `The hub does not show event ${from} right now.`);
  return { events, first: events[0]?.sequenceNumber ?? Math.min(kept, to + 1) };
}

/** Broadcasts what was just stored, and before it whatever an earlier failure left stored but not broadcast. */
async function show(
  stream: Stream,
  outcome: Exclude<Outcome, { kind: "behind" }>,
  deps: TryDeps,
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
  const messageId = `${stream.hub}-${stream.partitionId}-${event.sequenceNumber}`;
  return [{ userId: message.senderId, messageId, body: errorBody(error) }];
}

/** Broadcasts events that were stored earlier, from the database. Clients drop by `seq` what they have seen. */
async function showAgain(stream: Stream, from: number, to: number, deps: TryDeps): Promise<void> {
  log.warn("stored events are broadcast again", { ...stream, from, to });
  for (let next = from; next <= to; ) {
    requireTime(deps);
    const { events, first } = await readAgain(stream, next, to, deps);
    const { shown, refused } = await decidedBefore(events, deps);
    await broadcastMessages(shown, deps);
    await broadcastErrors(
      refused.flatMap((one) => toldTo(stream, one)),
      deps,
    );
    next = (events.at(-1)?.sequenceNumber ?? first - 1) + 1;
    await moveBroadcast(deps.database, stream, next - 1);
  }
}

/** What became of events that were stored earlier: the messages they are now, in order, and those that were refused. */
async function decidedBefore(
  events: readonly ReceivedEvent[],
  { database }: StoreDeps,
): Promise<{ shown: readonly ShownMessage[]; refused: readonly Refused[] }> {
  const readable = events.flatMap(readAsMessage);
  const keys = new Map<number, Buffer[]>();
  for (const { message, key } of readable)
    keys.set(message.roomId, [...(keys.get(message.roomId) ?? []), key]);
  const stored = await findByDedupeKeys(database, keys);
  const counters = new Map<number, (seq: number) => number>();
  for (const roomId of keys.keys())
    counters.set(roomId, unreadCounter(await countReadPositions(database, roomId)));
  const shown: ShownMessage[] = [];
  const refused: Refused[] = [];
  for (const { event, message, key } of readable) {
    const found = stored.get(`${message.roomId}:${key.toString("hex")}`);
    const { roomId, clientMessageId } = message;
    const error = new ChatError("NOT_A_MEMBER", "The message was refused.", { roomId, clientMessageId });
    if (!found) refused.push({ event, message, error });
    // Another time means that this event was a repeat, and its message is an older one's.
    else if (found.sentAt.toISOString() === message.sentAt)
      shown.push({ message: found, unreadCount: counters.get(roomId)!(found.seq) });
  }
  return { shown: shown.sort((a, b) => a.message.seq - b.message.seq), refused };
}

/** Unreadable events were dead-lettered when they were stored: there is nothing to show or to tell. */
function readAsMessage(event: ReceivedEvent): { event: ReceivedEvent; message: MessageSent; key: Buffer }[] {
  try {
    const message = parseMessageSent(event.body);
    return [{ event, message, key: dedupeKey(message) }];
  } catch (error) {
    if (error instanceof ChatError) return [];
    throw error;
  }
}
