import type { RoomMessage } from "@nonstop/chat-client";

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

const isSystem = (message: RoomMessage): boolean => message.type.startsWith("SYSTEM_");

export function isSameDay(a: Date, b: Date): boolean {
  return a.getFullYear() === b.getFullYear() && a.getMonth() === b.getMonth() && a.getDate() === b.getDate();
}

/** Puts together what one person writes within a minute, and parts the days. */
export function arrange(messages: readonly RoomMessage[], me: number): Arranged[] {
  const senderOf = (message: RoomMessage) => (message.state === "stored" ? message.senderId : me);
  const belongTogether = (a: RoomMessage | undefined, b: RoomMessage | undefined): boolean => {
    if (!a || !b || isSystem(a) || isSystem(b) || senderOf(a) !== senderOf(b)) return false;
    return minuteOf(a) === minuteOf(b);
  };
  return messages.map((message, index) => {
    const [before, after] = [messages[index - 1], messages[index + 1]];
    const time = timeOf(message);
    const isNewDay = !before || !isSameDay(timeOf(before), time);
    return {
      // The same before and after it is stored, so that the row stays the same.
      key: keyOf(message, senderOf(message) === me),
      message,
      isMine: senderOf(message) === me && !isSystem(message),
      isFirst: isNewDay || !belongTogether(before, message),
      isLast: after?.state !== "stored" || !belongTogether(message, after),
      day: isNewDay ? time : undefined,
    };
  });
}

const minuteOf = (message: RoomMessage): number => Math.floor(timeOf(message).getTime() / 60_000);

function keyOf(message: RoomMessage, isMine: boolean): string {
  const { clientMessageId } = message;
  if (isMine && typeof clientMessageId === "string") return `own ${clientMessageId}`;
  return message.state === "stored" ? String(message.seq) : `own ${clientMessageId}`;
}
