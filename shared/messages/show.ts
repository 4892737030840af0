import type { ReceivedEvent } from "../bus/eventBus.js";
import { type ShownMessage, type StoredMessage, shownWith } from "../chat/message.js";
import { spanOf } from "../chat/unread.js";
import type { Refused } from "../consumers/deadLetters.js";
import type { Showing } from "../consumers/underWay.js";
import { saysTheSame } from "../events/messages.js";
import { added, giveHints } from "../fanout/hints.js";
import type { SendDeps } from "../fanout/send.js";
import { groupBy } from "../platform/async.js";
import type { ChatError } from "../platform/errors.js";
import { annotate } from "../platform/trace.js";
import { countUnread } from "../store/members.js";
import { findByDedupeKeys } from "../store/messages.js";
import { findRooms } from "../store/rooms.js";
import type { Stream, StreamPosition } from "../store/streamPositions.js";
import { broadcastErrors, broadcastMessages } from "./broadcast.js";
import { idReused, refusal } from "./decide.js";
import type { MessagesDeps } from "./deps.js";
import { byRoom, identityOf, type ReadableEvent, readMessages } from "./readable.js";
import type { StoredMessages } from "./write.js";

/**
 * After the commit: shows what was stored, and tells senders what was refused. Throws `UNAVAILABLE` when the
 * socket service can't be reached. Rooms to which `before` is still being shown wait for that.
 */
export async function showMessages(
  stream: Stream,
  { shown, reopened, withReads, groups }: StoredMessages,
  refused: readonly Refused[],
  deps: MessagesDeps,
  before?: Showing,
): Promise<void> {
  for (const { roomId } of reopened) await deps.members.dropMembers(roomId);
  // Before anything that can fail: an interrupted showing is not repeated with its reads.
  for (const roomId of new Set(withReads)) deps.scheduleReads(roomId);
  annotate(() => ({ "chat.messages": shown.length, "chat.rooms": new Set(shown.map(roomOf)).size }));
  await broadcastMessages(shown, deps, await groups, before);
  await tellRefused(stream, refused, deps);
  // The one who had left finds the one-to-one room in their list again.
  await giveHints(
    reopened.map(({ roomId, userId, by }) => added([userId], roomId, null, by)),
    deps,
  );
}

/**
 * Shows events that were stored earlier, from the database. Clients drop by `seq` what they have seen. What was
 * shown before the log went back is left out: by now there may be members for whom it is too old. Throws as
 * `showMessages` does.
 */
export async function showMessagesAgain(
  stream: Stream,
  events: readonly ReceivedEvent[],
  { shownMessageId = 0 }: StreamPosition,
  deps: SendDeps,
): Promise<void> {
  const { shown, refused } = await decidedBefore(events, deps);
  await broadcastMessages(
    shown.filter(({ message }) => message.messageId > shownMessageId),
    deps,
  );
  await tellRefused(stream, refused, deps);
}

const roomOf = ({ message }: ShownMessage): number => message.roomId;

const tellRefused = (stream: Stream, refused: readonly Refused[], deps: SendDeps): Promise<void> =>
  broadcastErrors(
    refused.flatMap(({ tellUserId: userId, error, event }) => {
      if (userId === undefined) return [];
      const messageId = `${stream.hub}-${stream.partitionId}-${event.sequenceNumber}`;
      return { userId, messageId, error };
    }),
    deps,
  );

/**
 * What became of events that were stored earlier: the messages they are now, in order, and those that were
 * refused.
 */
async function decidedBefore(
  events: readonly ReceivedEvent[],
  { database }: Pick<SendDeps, "database">,
): Promise<{ readonly shown: readonly ShownMessage[]; readonly refused: readonly Refused[] }> {
  // What can't be read was dead-lettered when it was stored: there is nothing to show or to tell.
  const { readable } = readMessages(events);
  const stored = await findByDedupeKeys(
    database,
    byRoom(readable, ({ key }) => key),
  );
  const counters = new Map<number, (seq: number) => number>();
  for (const [roomId, messages] of groupBy(stored.values(), (message) => message.roomId))
    counters.set(roomId, await countUnread(database, roomId, ...spanOf(messages)));
  const rooms = await findRooms(database, [...new Set(readable.map(({ message }) => message.roomId))]);
  const origins = originsOf(readable, stored);
  const shown: ShownMessage[] = [];
  const refused: Refused[] = [];
  for (const one of readable) {
    const { event, message } = one;
    const found = stored.get(identityOf(one));
    const origin = origins.get(identityOf(one));
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

/**
 * The sequence numbers of those events from which the stored messages come, by `identityOf`. The other events
 * of the same identity are repeats, were refused before, or say something else.
 */
function originsOf(
  readable: readonly ReadableEvent[],
  stored: ReadonlyMap<string, StoredMessage>,
): ReadonlyMap<string, number> {
  const origins = new Map<string, number>();
  for (const one of readable) {
    const identity = identityOf(one);
    const found = stored.get(identity);
    const isOrigin =
      found && saysTheSame(found, one.message) && found.sentAt.toISOString() === one.message.sentAt;
    if (isOrigin && !origins.has(identity)) origins.set(identity, one.event.sequenceNumber);
  }
  return origins;
}
