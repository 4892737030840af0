import type { ShownMessage } from "../chat/message.js";
import { type Groups, groupsOf } from "../fanout/groups.js";
import { type SendDeps, sendToAll } from "../fanout/send.js";
import { destinationKey } from "../frames/destinations.js";
import { errorMessage } from "../frames/error.js";
import { prepared } from "../frames/frame.js";
import { messageFrame } from "../frames/message.js";
import { groupBy } from "../platform/async.js";
import type { ChatError } from "../platform/errors.js";
import type { Queryable } from "../store/database.js";

/**
 * Shows stored messages to the subscribers of their rooms. Those of one room go in the order given: together
 * in one send to each group that takes several frames a message, in one send each to the others. Throws
 * `UNAVAILABLE` when the socket service can't be reached: then all is sent again, and clients drop repeats by
 * `seq`. `groups`, where given, are the rooms' subscribers at a time when the messages were stored.
 */
export async function broadcastMessages(
  shown: readonly ShownMessage[],
  deps: SendDeps,
  groups?: Groups,
): Promise<void> {
  const roomOf = ({ message }: ShownMessage) => keyOf(message.roomId);
  const frames = groupBy(shown, roomOf, (one) => prepared(messageFrame(one)));
  await sendToAll(frames, deps, groups);
}

const keyOf = (roomId: number): string => destinationKey({ kind: "room", roomId }, 0);

/** The groups of the subscribers of these rooms, each of which is named once. */
export const groupsOfRooms = (db: Queryable, roomIds: Iterable<number>): Promise<Groups> =>
  groupsOf(db, Array.from(roomIds, keyOf));

/** A refusal of something that had been accepted. */
export interface LateRefusal {
  readonly userId: number;
  readonly messageId: string;
  readonly error: ChatError;
}

/**
 * Tells users on their `/user/queue/errors` what was refused after it had been accepted. Throws as
 * `broadcastMessages` does.
 */
export async function broadcastErrors(refused: readonly LateRefusal[], deps: SendDeps): Promise<void> {
  const frameOf = ({ messageId, error }: LateRefusal) => prepared(errorMessage(error, messageId));
  await sendToAll(
    groupBy(refused, ({ userId }) => destinationKey({ kind: "userErrors" }, userId), frameOf),
    deps,
  );
}
