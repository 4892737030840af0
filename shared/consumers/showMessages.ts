import type { ReceivedEvent } from "../bus/eventBus.js";
import { ChatError, errorBody } from "../errors.js";
import { type ShownMessage, unreadCounter } from "../events/messageShown.js";
import { log } from "../log.js";
import { findByDedupeKeys } from "../store/messages.js";
import { countReadPositions } from "../store/rooms.js";
import { moveBroadcast, type Stream, type StreamPosition } from "../store/streamPositions.js";
import { broadcastErrors, broadcastMessages } from "./broadcastMessages.js";
import type { Refused } from "./decideMessages.js";
import { byRoom, placeOf, readEvents } from "./readableEvents.js";
import { requireTime, type StoreDeps, type TryDeps } from "./storeDeps.js";

const RECOVERED_AT_ONCE = 500;

/** Events up to `last` have just been stored; `position` is where the stream stood before. */
export interface Stored {
  readonly kind: "stored";
  readonly position: StreamPosition;
  readonly last: number;
  readonly shown: readonly ShownMessage[];
  readonly refused: readonly Refused[];
}

/** All of a batch had been stored earlier. */
export interface StoredBefore {
  readonly kind: "storedBefore";
  readonly position: StreamPosition;
}

/**
 * The next events of a range, and the number of the first one that the hub still has, or of the one behind the range. Only retention's own mark
 * proves that events are gone; where they just can't be seen, it throws `UNAVAILABLE`.
 */
export async function readAgain(
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
export async function show(stream: Stream, outcome: Stored | StoredBefore, deps: TryDeps): Promise<void> {
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
  // The others were dead-lettered when they were stored: there is nothing to show or to tell.
  const { readable } = readEvents(events);
  const keys = byRoom(readable, ({ key }) => key);
  const stored = await findByDedupeKeys(database, keys);
  const counters = new Map<number, (seq: number) => number>();
  for (const roomId of keys.keys())
    counters.set(roomId, unreadCounter(await countReadPositions(database, roomId)));
  const shown: ShownMessage[] = [];
  const refused: Refused[] = [];
  for (const one of readable) {
    const { event, message } = one;
    const found = stored.get(placeOf(one));
    const { roomId, clientMessageId } = message;
    const error = new ChatError("NOT_A_MEMBER", "The message was refused.", { roomId, clientMessageId });
    if (!found) refused.push({ event, message, error });
    // Another time means that this event was a repeat, and its message is an older one's.
    else if (found.sentAt.toISOString() === message.sentAt)
      shown.push({ message: found, unreadCount: counters.get(roomId)!(found.seq) });
  }
  return { shown: shown.sort((a, b) => a.message.seq - b.message.seq), refused };
}
