import type { EventBus } from "../bus/eventBus.js";
import { requireAccess } from "../chat/access.js";
import { READS_HUB, roomRead } from "../events/reads.js";
import { annotate } from "../platform/trace.js";
import type { Database } from "../store/database.js";

interface AcceptDeps {
  readonly bus: EventBus;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

interface Read {
  readonly roomId: number;
  readonly userId: number;
  readonly messageId: number;
  readonly traceparent?: string | undefined;
}

/**
 * Publishes that a user has read a room up to a message, and returns once the bus has stored it. Whether that
 * moves the user's position is found out when it is stored. A repeat is harmless. `requireMembership` throws
 * where the user may not read the room. Throws the same, and `UNAVAILABLE` when the bus did not answer in
 * time.
 */
export async function acceptRead(
  { traceparent, ...read }: Read,
  requireMembership: () => Promise<unknown>,
  { bus, now }: AcceptDeps,
): Promise<void> {
  annotate(() => ({ "chat.room.id": read.roomId, "chat.message.id": read.messageId }));
  await requireMembership();
  await bus.publish(READS_HUB, String(read.userId), roomRead(read, now()), traceparent);
}

interface Input {
  readonly roomId: number;
  readonly messageId: number;
  readonly callerId: number;
  readonly traceparent?: string | undefined;
}

/**
 * The call: as `acceptRead`, for a caller who is a member by MySQL. Throws `ROOM_NOT_FOUND` and
 * `NOT_A_MEMBER`, which a frame does not distinguish.
 */
export async function readRoom(
  { roomId, messageId, callerId, traceparent }: Input,
  deps: AcceptDeps & { readonly database: Database },
): Promise<{ readonly roomId: number; readonly messageId: number }> {
  const requireMembership = () => requireAccess(deps.database, roomId, callerId);
  await acceptRead({ roomId, userId: callerId, messageId, traceparent }, requireMembership, deps);
  return { roomId, messageId };
}
