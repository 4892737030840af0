import { createHash } from "node:crypto";

/** A member's read position moved from one message to a later one: stored, and never moved back. */
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

/** Rooms with more members than this get their reads merged. */
export const MERGED_ABOVE_MEMBERS = 100;
/** A merged frame stays far below the 1 MB of a WebSocket message. */
const READS_PER_FRAME = 500;

type Frame = readonly [headers: Record<string, string>, body: string];

const bodyOf = (read: ReadMoved): object => ({
  userId: read.userId,
  lastReadMessageId: read.lastReadMessageId,
  previousLastReadMessageId: read.previousLastReadMessageId,
  lastReadSeq: read.lastReadSeq,
  previousLastReadSeq: read.previousLastReadSeq,
  readAt: read.readAt.toISOString(),
});

function frameOf(roomId: number, body: object): Frame {
  const text = JSON.stringify({ roomId, ...body });
  const headers = {
    destination: `/sub/chat/room/${roomId}/read`,
    // Another id for each content.
    "message-id": `read-${createHash("sha256").update(text).digest("base64url").slice(0, 22)}`,
    "content-type": "application/json",
  };
  return [headers, text];
}

/** The headers and bodies of a room's read frames, all but their `subscription`: one for each read, or, `merged`, one for up to 500. */
export function readShownFrames(
  roomId: number,
  reads: readonly ReadMoved[],
  merged: boolean,
): readonly Frame[] {
  if (!merged) return reads.map((read) => frameOf(roomId, bodyOf(read)));
  const frames: Frame[] = [];
  for (let first = 0; first < reads.length; first += READS_PER_FRAME)
    frames.push(frameOf(roomId, { reads: reads.slice(first, first + READS_PER_FRAME).map(bodyOf) }));
  return frames;
}

/**
 * The same moves in fewer: where one begins at the place to which the one before it led, the two are one. They stay apart where the
 * member's own messages lie between, which count as read from the beginning. In the order of the places where they begin.
 */
export function joinMoves(moves: readonly ReadMoved[]): readonly ReadMoved[] {
  const joined: ReadMoved[] = [];
  const latest = new Map<number, number>();
  for (const move of [...moves].sort((a, b) => a.previousLastReadSeq - b.previousLastReadSeq)) {
    const at = latest.get(move.userId);
    const before = at === undefined ? undefined : joined[at];
    if (at !== undefined && before?.lastReadSeq === move.previousLastReadSeq)
      joined[at] = {
        ...move,
        previousLastReadSeq: before.previousLastReadSeq,
        previousLastReadMessageId: before.previousLastReadMessageId,
      };
    else {
      latest.set(move.userId, joined.length);
      joined.push(move);
    }
  }
  return joined;
}
