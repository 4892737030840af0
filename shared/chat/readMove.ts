/** A member's read position went from one message to a later one. It is stored, and never goes back. */
export interface ReadMoved {
  readonly roomId: number;
  readonly userId: number;
  readonly lastReadMessageId: number;
  /** `null` when nothing had been read before. */
  readonly previousLastReadMessageId: number | null;
  readonly lastReadSeq: number;
  readonly previousLastReadSeq: number;
  readonly readAt: Date;
}

/** Where a member stands in a room: the last message they have read, `null` and 0 when there is none. */
export interface ReadPosition {
  readonly lastReadSeq: number;
  readonly lastReadMessageId: number | null;
}

/** The move of a member from where they stand to a message of their room. */
export const moveTo = (
  { roomId, userId, lastReadSeq, lastReadMessageId }: ReadPosition & Pick<ReadMoved, "roomId" | "userId">,
  { seq, messageId }: { readonly seq: number; readonly messageId: number },
  readAt: Date,
): ReadMoved => ({
  roomId,
  userId,
  lastReadSeq: seq,
  lastReadMessageId: messageId,
  previousLastReadSeq: lastReadSeq,
  previousLastReadMessageId: lastReadMessageId,
  readAt,
});

/**
 * The move of a member to the last message of their room, or nothing where the room is empty or they have
 * read all of it.
 */
export const moveToEnd = (
  member: ReadPosition & Pick<ReadMoved, "roomId" | "userId">,
  { lastSeq, lastMessageId }: { readonly lastSeq: number; readonly lastMessageId: number | null },
  readAt: Date,
): ReadMoved | undefined =>
  lastMessageId === null || member.lastReadSeq >= lastSeq
    ? undefined
    : moveTo(member, { seq: lastSeq, messageId: lastMessageId }, readAt);

/**
 * The same moves in fewer: where one begins at the message to which the one before it led, the two are one.
 * They stay apart where the member's own messages lie between, which count as read from the beginning.
 * Ordered by the message at which they begin.
 */
export function combineMoves(moves: readonly ReadMoved[]): readonly ReadMoved[] {
  const combined: ReadMoved[] = [];
  const latestOfUser = new Map<number, number>();
  for (const move of [...moves].sort((a, b) => a.previousLastReadSeq - b.previousLastReadSeq)) {
    const index = latestOfUser.get(move.userId);
    const before = index === undefined ? undefined : combined[index];
    if (index !== undefined && before?.lastReadSeq === move.previousLastReadSeq)
      combined[index] = {
        ...move,
        previousLastReadSeq: before.previousLastReadSeq,
        previousLastReadMessageId: before.previousLastReadMessageId,
      };
    else {
      latestOfUser.set(move.userId, combined.length);
      combined.push(move);
    }
  }
  return combined;
}
