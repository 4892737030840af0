import { isSystem, type RoomMessage } from "@nonstop/chat-client";

/** How a message is drawn among its neighbours. */
export interface Arranged {
  readonly key: string;
  readonly message: RoomMessage;
  readonly isMine: boolean;
  /** Someone else speaks than before, or after a pause: with a name and a picture. */
  readonly isFirst: boolean;
  /** The last stored one of what one sends within a minute: with the time. */
  readonly isLast: boolean;
  /** The day begins with it. */
  readonly day: Date | undefined;
}

export const timeOf = (message: RoomMessage): Date =>
  new Date(message.state === "stored" ? message.sentAt : message.createdAt);

export function isSameDay(a: Date, b: Date): boolean {
  return a.getFullYear() === b.getFullYear() && a.getMonth() === b.getMonth() && a.getDate() === b.getDate();
}

/** What stands before and after the messages that are arranged. */
export interface Neighbours {
  readonly before?: RoomMessage | undefined;
  readonly after?: RoomMessage | undefined;
}

/** Puts together what one person writes within a minute, and parts the days. */
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
      // The same before and after it is stored, so that the row stays the same.
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

/** A message's name in its room, which stays the same when it is stored. */
export function keyOf(message: RoomMessage, me: number): string {
  const { clientMessageId } = message;
  const isMine = message.state !== "stored" || message.senderId === me;
  if (isMine && typeof clientMessageId === "string") return `own ${clientMessageId}`;
  return message.state === "stored" ? String(message.seq) : `own ${clientMessageId}`;
}
