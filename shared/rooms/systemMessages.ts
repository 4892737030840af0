import { randomUUID } from "node:crypto";
import type { MessageSent } from "../events/messages.js";
import type { Queryable } from "../store/database.js";
import { findUsers, namelessUser } from "../store/users.js";

type SystemType = Extract<MessageSent["type"], `SYSTEM_${string}`>;

const SENTENCES: Readonly<Record<SystemType, (causer: string, target: string) => string>> = {
  SYSTEM_INVITE: (causer, target) => `${causer} invited ${target}`,
  SYSTEM_LEAVE: (_causer, target) => `${target} left`,
  SYSTEM_KICK: (causer, target) => `${causer} removed ${target}`,
};

/** The announcements of one change for each target, in their order. Clients of other languages make their own sentence of `type`, `senderNickname` and `target`. */
export async function systemMessages(
  db: Queryable,
  change: {
    readonly type: SystemType;
    readonly roomId: number;
    readonly causerId: number;
    readonly targetIds: readonly number[];
    readonly at: Date;
  },
): Promise<readonly MessageSent[]> {
  const { type, roomId, causerId, targetIds, at } = change;
  const users = await findUsers(db, [...new Set([causerId, ...targetIds])]);
  const nicknameOf = (userId: number): string => users.get(userId)?.nickname ?? namelessUser(userId);
  return targetIds.map((userId) => ({
    v: 1,
    eventId: randomUUID(),
    roomId,
    senderId: causerId,
    senderNickname: nicknameOf(causerId),
    clientMessageId: null,
    type,
    content: SENTENCES[type](nicknameOf(causerId), nicknameOf(userId)),
    sentAt: at.toISOString(),
    target: { userId, nickname: nicknameOf(userId) },
  }));
}
