import { hash } from "node:crypto";
import type { ReadMoved } from "../chat/readMove.js";
import type { MessageFrame } from "./frame.js";

/** A merged frame stays far below the 1 MB of a WebSocket message. */
const READS_PER_FRAME = 500;

/** The frames of a room's reads: one for each read, or, `merged`, one for up to 500. */
export function readFrames(
  roomId: number,
  reads: readonly ReadMoved[],
  merged: boolean,
): readonly MessageFrame[] {
  if (!merged) return reads.map((read) => frameOf(roomId, readShown(read)));
  const frames: MessageFrame[] = [];
  for (let first = 0; first < reads.length; first += READS_PER_FRAME)
    frames.push(frameOf(roomId, { reads: reads.slice(first, first + READS_PER_FRAME).map(readShown) }));
  return frames;
}

const readShown = (read: ReadMoved): object => ({
  userId: read.userId,
  lastReadMessageId: read.lastReadMessageId,
  previousLastReadMessageId: read.previousLastReadMessageId,
  lastReadSeq: read.lastReadSeq,
  previousLastReadSeq: read.previousLastReadSeq,
  readAt: read.readAt.toISOString(),
});

function frameOf(roomId: number, content: object): MessageFrame {
  const body = JSON.stringify({ roomId, ...content });
  const digest = hash("sha256", body, "base64url").slice(0, 22);
  return { destination: { kind: "roomRead", roomId }, messageId: `read-${digest}`, body };
}
