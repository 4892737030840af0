import { randomUUID } from "node:crypto";
import { type MessageSent, messageSent, type NamedUser } from "../events/messages.js";
import type { Queryable } from "../store/database.js";
import { namesOf } from "../store/users.js";

/** A change of a room that a system message announces. `causerId` is the user who made it. */
export type RoomChange = { readonly roomId: number; readonly causerId: number; readonly at: Date } & (
  | { readonly type: "SYSTEM_INVITE"; readonly targetIds: readonly number[] }
  | { readonly type: "SYSTEM_LEAVE" | "SYSTEM_KICK"; readonly targetId: number }
  | { readonly type: "SYSTEM_RENAME"; readonly roomName: string }
);

/** The sentence of an invitation names this many users. The others are a number. */
const NAMED = 3;

/**
 * The announcement of one change. It is one message, however many users it is about. Its sentence is English:
 * clients in other languages make their own of `type`, `senderNickname` and `target`, `targets` or
 * `roomName`.
 */
export async function systemMessage(db: Queryable, change: RoomChange): Promise<MessageSent> {
  const { type, roomId, causerId, at } = change;
  const targetIds = targetsOf(change);
  const named = await namesOf(db, [...new Set([causerId, ...targetIds])]);
  const targets = targetIds.map(named);
  return messageSent({
    eventId: randomUUID(),
    roomId,
    senderId: causerId,
    senderNickname: named(causerId).nickname,
    clientMessageId: null,
    type,
    content: sentenceOf(change, named(causerId), targets),
    ...(targets[0] ? { target: targets[0] } : {}),
    ...(type === "SYSTEM_INVITE" ? { targets } : {}),
    ...(type === "SYSTEM_RENAME" ? { roomName: change.roomName } : {}),
    at,
  });
}

function targetsOf(change: RoomChange): readonly number[] {
  if (change.type === "SYSTEM_RENAME") return [];
  return change.type === "SYSTEM_INVITE" ? change.targetIds : [change.targetId];
}

function sentenceOf(change: RoomChange, { nickname }: NamedUser, targets: readonly NamedUser[]): string {
  switch (change.type) {
    case "SYSTEM_INVITE":
      return `${nickname} invited ${listOf(targets)}`;
    case "SYSTEM_LEAVE":
      return `${targets[0]!.nickname} left`;
    case "SYSTEM_KICK":
      return `${nickname} removed ${targets[0]!.nickname}`;
    case "SYSTEM_RENAME":
      return `${nickname} renamed the group to ${change.roomName}`;
  }
}

/** "Ben", "Ben and Cho", "Ben, Cho and Dan", "Ben, Cho, Dan and 1 other". */
function listOf(targets: readonly NamedUser[]): string {
  const names = targets.slice(0, NAMED).map(({ nickname }) => nickname);
  const others = targets.length - names.length;
  if (others > 0) names.push(others === 1 ? "1 other" : `${others} others`);
  const last = names.pop();
  return names.length === 0 ? `${last}` : `${names.join(", ")} and ${last}`;
}
