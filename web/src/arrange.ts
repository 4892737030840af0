import { isSystem, type RoomMessage } from "@nonstop/chat-client";

/** How a message is drawn among its neighbours. */
export interface Arranged {
  readonly key: string;
  readonly message: RoomMessage;
  readonly isMine: boolean;
  /** It begins what one person sent within a minute: it is drawn with a name and a picture. */
  readonly isFirst: boolean;
  /** It is the last stored message that one person sent within a minute: it is drawn with the time. */
  readonly isLast: boolean;
  /** Its day, if it is the first message of that day. */
  readonly day: Date | undefined;
}

export const timeOf = (message: RoomMessage): Date =>
  new Date(message.state === "stored" ? message.sentAt : message.createdAt);

export function isSameDay(a: Date, b: Date): boolean {
  return a.getFullYear() === b.getFullYear() && a.getMonth() === b.getMonth() && a.getDate() === b.getDate();
}

/** The messages directly before and after those that are arranged. */
export interface Neighbours {
  readonly before?: RoomMessage | undefined;
  readonly after?: RoomMessage | undefined;
}

/** Groups what one person sent within a minute, and separates the days. */
export function arrange(
  messages: readonly RoomMessage[],
  me: number,
  { before: first, after: last }: Neighbours = {},
): Arranged[] {
  const senderOf = (message: RoomMessage) => (message.state === "stored" ? message.senderId : me);
  const belongTogether = (a: RoomMessage | undefined, b: RoomMessage | undefined): boolean => {
    if (!a || !b || isSystem(a) || isSystem(b) || senderOf(a) !== senderOf(b)) return false;
    return minuteOf(a) === minuteOf(b);
  };
  return messages.map((message, index) => {
    const [before, after] = [messages[index - 1] ?? first, messages[index + 1] ?? last];
    const time = timeOf(message);
    const isNewDay = !before || !isSameDay(timeOf(before), time);
    return {
      key: keyOf(message, me),
      message,
      isMine: senderOf(message) === me && !isSystem(message),
      isFirst: isNewDay || !belongTogether(before, message),
      isLast: after?.state !== "stored" || !belongTogether(message, after),
      day: isNewDay ? time : undefined,
    };
  });
}

const minuteOf = (message: RoomMessage): number => Math.floor(timeOf(message).getTime() / 60_000);

/**
 * A message's key in its room. A message of the user's own keeps it when it is stored, and so keeps its row.
 */
export function keyOf(message: RoomMessage, me: number): string {
  const { clientMessageId } = message;
  const isMine = message.state !== "stored" || message.senderId === me;
  if (isMine && typeof clientMessageId === "string") return `own ${clientMessageId}`;
  return message.state === "stored" ? String(message.seq) : `own ${clientMessageId}`;
}
