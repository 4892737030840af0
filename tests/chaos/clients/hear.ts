import { type Event, hashOf, type Seen } from "./history.js";
import { refusalOf } from "./session.js";
import type { Frame } from "./stompFrames.js";

/** A message as JSON of a MESSAGE frame or a page of the history. */
export interface MessageJson {
  readonly messageId: number;
  readonly seq: number;
  readonly roomId: number;
  readonly senderId: number;
  readonly clientMessageId: string | number | null;
  readonly type: string;
  readonly content: string;
  readonly unreadCount: number;
}

export const seenOf = (message: MessageJson): Seen => ({
  room: message.roomId,
  seq: message.seq,
  messageId: message.messageId,
  sender: message.senderId,
  id: JSON.stringify(message.clientMessageId ?? null),
  type: message.type,
  hash: hashOf(message.type, message.content),
  unread: message.unreadCount,
});

interface MoveJson {
  readonly userId: number;
  readonly lastReadSeq: number;
  readonly previousLastReadSeq: number | null;
}

/** What a frame that nobody waited for says, as lines of a history. */
export function heard(frame: Frame, connection: number): Event[] {
  const destination = frame.headers["destination"] ?? "";
  if (frame.command === "ERROR") return [{ kind: "error", ...refusalOf(frame) }];
  if (destination === "/user/queue/errors") return [refused(frame)];
  if (destination === "/user/queue/rooms") return [hint(frame)];
  if (destination.endsWith("/read")) return moves(frame);
  if (!destination.startsWith("/sub/chat/room/"))
    return [{ kind: "error", code: "SESSION", text: frame.body.slice(0, 200) }];
  const gap = frame.headers["gap"] === "true";
  return [{ kind: "message", connection, gap, ...seenOf(JSON.parse(frame.body)) }];
}

/** An error without a receipt: of a message that was refused when it was stored, if it names one. */
function refused(frame: Frame): Event {
  const { roomId, clientMessageId } = JSON.parse(frame.body);
  const { code, text } = refusalOf(frame);
  if (clientMessageId === undefined || clientMessageId === null) return { kind: "error", code, text };
  return { kind: "refused", room: Number(roomId), id: JSON.stringify(clientMessageId), code };
}

function hint(frame: Frame): Event {
  const { type, roomId } = JSON.parse(frame.body);
  return { kind: "hint", type: String(type), room: Number(roomId) };
}

/** One move, or those of a large room together. */
function moves(frame: Frame): Event[] {
  const { roomId, reads, ...one } = JSON.parse(frame.body);
  const all: readonly MoveJson[] = reads ?? [one];
  return all.map(({ userId, previousLastReadSeq, lastReadSeq }) => ({
    kind: "moved",
    room: Number(roomId),
    reader: userId,
    from: previousLastReadSeq ?? 0,
    to: lastReadSeq,
  }));
}
