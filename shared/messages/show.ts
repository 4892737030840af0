import type { ReceivedEvent } from "../bus/eventBus.js";
import type { Refused } from "../consumers/deadLetters.js";
import type { StoreDeps } from "../consumers/storeDeps.js";
import { saysTheSame } from "../events/messages.js";
import { tellReopened } from "../fanout/tellReopened.js";
import { type ShownMessage, type StoredMessage, shownWith, spanOf } from "../frames/message.js";
import { type ChatError, errorBody } from "../platform/errors.js";
import { showReads } from "../reads/show.js";
import { countUnread } from "../store/members.js";
import { findByDedupeKeys } from "../store/messages.js";
import { findRooms } from "../store/rooms.js";
import type { Stream } from "../store/streamPositions.js";
import { broadcastErrors, broadcastMessages } from "./broadcast.js";
import { idReused, refusal } from "./decide.js";
import { byRoom, placeOf, type ReadableEvent, readEvents } from "./readable.js";
import type { StoredMessages } from "./store.js";

/** After the commit: shows what was stored, tells senders what was refused. */
export async function showMessages(
  stream: Stream,
  { shown, reopened, reads }: StoredMessages,
  refused: readonly Refused[],
  deps: StoreDeps,
): Promise<void> {
  for (const { roomId } of reopened) await deps.members.dropMembers(roomId);
  // First, because it waits for nothing, and would be forgotten where showing is interrupted.
  await showReads(reads, deps);
  await broadcastMessages(shown, deps);
  await tell(stream, refused, deps);
  await tellReopened(reopened, deps);
}

/** Shows events that were stored earlier, from the database. Clients drop by `seq` what they have seen. */
export async function showMessagesAgain(
  stream: Stream,
  events: readonly ReceivedEvent[],
  deps: StoreDeps,
): Promise<void> {
  const { shown, refused } = await decidedBefore(events, deps);
  await broadcastMessages(shown, deps);
  await tell(stream, refused, deps);
}

/** Tells users on their `/user/queue/errors` what was refused after it had been accepted. */
const tell = (stream: Stream, refused: readonly Refused[], deps: StoreDeps): Promise<void> =>
  broadcastErrors(
    refused.flatMap(({ tellUserId: userId, error, event }) => {
      if (userId === undefined) return [];
      const messageId = `${stream.hub}-${stream.partitionId}-${event.sequenceNumber}`;
      return { userId, messageId, body: errorBody(error) };
    }),
    deps,
  );

/** What became of events that were stored earlier: the messages they are now, in order, and those that were refused. */
async function decidedBefore(
  events: readonly ReceivedEvent[],
  { database }: StoreDeps,
): Promise<{ shown: readonly ShownMessage[]; refused: readonly Refused[] }> {
  // The others were dead-lettered when they were stored: there is nothing to show or to tell.
  const { readable } = readEvents(events);
  const keys = byRoom(readable, ({ key }) => key);
  const stored = await findByDedupeKeys(database, keys);
  const storedIn = new Map<number, StoredMessage[]>();
  for (const message of stored.values())
    storedIn.set(message.roomId, [...(storedIn.get(message.roomId) ?? []), message]);
  const counters = new Map<number, (seq: number) => number>();
  for (const [roomId, messages] of storedIn)
    counters.set(roomId, await countUnread(database, roomId, ...spanOf(messages)));
  const rooms = await findRooms(database, [...new Set(readable.map(({ message }) => message.roomId))]);
  const origins = originsOf(readable, stored);
  const shown: ShownMessage[] = [];
  const refused: Refused[] = [];
  for (const one of readable) {
    const { event, message } = one;
    const found = stored.get(placeOf(one));
    const origin = origins.get(placeOf(one));
    const isBefore = origin !== undefined && event.sequenceNumber < origin;
    const refuse = (error: ChatError | undefined) =>
      error && refused.push({ event, error, tellUserId: message.senderId });
    if (!found || isBefore) refuse(refusal(message, rooms, new Set()));
    else if (!saysTheSame(found, message)) refuse(idReused(message));
    else if (event.sequenceNumber === origin)
      shown.push(shownWith(found, counters.get(message.roomId)!(found.seq)));
  }
  return { shown: shown.sort((a, b) => a.message.seq - b.message.seq), refused };
}

/** Which of these events the stored messages come from, by their place: the others of a place are repeats, were refused before, or say something else. */
function originsOf(
  readable: readonly ReadableEvent[],
  stored: ReadonlyMap<string, StoredMessage>,
): ReadonlyMap<string, number> {
  const origins = new Map<string, number>();
  for (const one of readable) {
    const place = placeOf(one);
    const found = stored.get(place);
    const isOrigin =
      found && saysTheSame(found, one.message) && found.sentAt.toISOString() === one.message.sentAt;
    if (isOrigin && !origins.has(place)) origins.set(place, one.event.sequenceNumber);
  }
  return origins;
}
