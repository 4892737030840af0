import { setTimeout as pause } from "node:timers/promises";
import { MESSAGES_HUB } from "../events/messages.js";
import { ChatError } from "../platform/errors.js";
import type { Queryable } from "../store/database.js";
import type { Member } from "../store/members.js";
import { findPosition, type Stream } from "../store/streamPositions.js";
import { listUnshownOnJoining } from "../store/unshown.js";
import type { CommandDeps } from "./command.js";

/** A message that no consumer has shown for this long isn't shown any more: the bus has let it go. */
const SHOWN_WITHIN_MS = 24 * 3_600_000;
const WAIT_MS = 2_000;
const LOOK_MS = 50;

type Deps = Pick<CommandDeps, "bus" | "database" | "now">;

/** What is stored of a room's partition, and perhaps not shown yet. */
export interface Unshown {
  readonly stream: Stream;
  readonly stored: number;
}

/**
 * What a member who was invited within a day must not be shown any more: the messages from before the invitation
 * that are stored and not broadcast yet. Nothing in nearly all cases. Throws `UNAVAILABLE` where there may be some
 * and the bus can't be asked which partition is the room's.
 */
export async function unshownBefore(
  { roomId, userId, joinedSeq }: Member,
  db: Queryable,
  { bus, now }: Deps,
): Promise<Unshown | undefined> {
  if (joinedSeq === 0) return undefined;
  const since = new Date(now() - SHOWN_WITHIN_MS);
  const unshown = await listUnshownOnJoining(db, MESSAGES_HUB, { roomId, userId, since });
  if (unshown.length === 0) return undefined;
  const hubId = await bus.hubId(MESSAGES_HUB);
  const partitionId = await bus.partitionOf(MESSAGES_HUB, String(roomId));
  return unshown.find(({ stream }) => stream.hubId === hubId && stream.partitionId === partitionId);
}

/** Resolves once all of it has been shown to who was subscribed. Throws `UNAVAILABLE` after 2 s. */
export async function untilShown({ stream, stored }: Unshown, { database, now }: Deps): Promise<void> {
  const end = now() + WAIT_MS;
  for (;;) {
    const position = await findPosition(database, stream);
    if (position && position.broadcast >= stored) return;
    if (now() > end)
      throw new ChatError(
        "UNAVAILABLE",
        "Messages from before your invitation are still being sent; try again.",
      );
    await pause(LOOK_MS);
  }
}
