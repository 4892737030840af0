import type { ShownMessage } from "../chat/message.js";
import type { Showing } from "../consumers/underWay.js";
import { type Groups, groupsOf } from "../fanout/groups.js";
import { type SendDeps, sendToAll } from "../fanout/send.js";
import { destinationKey } from "../frames/destinations.js";
import { errorMessage } from "../frames/error.js";
import { prepared } from "../frames/frame.js";
import { messageFrame } from "../frames/message.js";
import { allEnded, groupBy } from "../platform/async.js";
import type { ChatError } from "../platform/errors.js";
import type { Queryable } from "../store/database.js";

/**
 * Shows stored messages to the subscribers of their rooms. Those of one room go in the order given: together
 * in one send to each group that takes several frames a message, in one send each to the others. Throws
 * `UNAVAILABLE` when the socket service can't be reached: then all is sent again, and clients drop repeats by
 * `seq`. `groups`, where given, are the rooms' subscribers at a time when the messages were stored. Rooms to which
 * messages of `before` are still on their way wait until that has ended; where it fails, its failure is thrown.
 */
export async function broadcastMessages(
  shown: readonly ShownMessage[],
  deps: SendDeps,
  groups?: Groups,
  before?: Showing,
): Promise<void> {
  const frames = groupBy(shown, destinationOf, (one) => prepared(messageFrame(one)));
  if (!before) return sendToAll(frames, deps, groups);
  const isHeld = ([key]: readonly [string, unknown]): boolean => before.keys.has(key);
  const held = new Map([...frames].filter(isHeld));
  const free = new Map([...frames].filter((one) => !isHeld(one)));
  await allEnded([sendToAll(free, deps, groups), before.done.then(() => sendToAll(held, deps, groups))]);
}

/** The destination that a message goes to. */
export const destinationOf = ({ message }: ShownMessage): string => keyOf(message.roomId);

/** So many messages of a room take longer to send, one behind the other, than the next batch takes to store. */
const MANY = 4;

/** Whether these have many messages of one room. */
export const hasMany = (shown: readonly ShownMessage[]): boolean =>
  shown.length >= MANY && [...groupBy(shown, destinationOf).values()].some((ofRoom) => ofRoom.length >= MANY);

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
