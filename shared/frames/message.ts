import { isSystem, type MessageSent, type NamedUser } from "../events/messages.js";

/** A message in its place: stored, numbered, and never changed again. */
export interface StoredMessage {
  readonly messageId: number;
  /** 1, 2, 3, … in its room. */
  readonly seq: number;
  readonly roomId: number;
  readonly senderId: number;
  readonly senderNickname: string;
  readonly clientMessageId: string | number | null;
  readonly type: MessageSent["type"];
  readonly content: string;
  readonly sentAt: Date;
  /** Of a change of members: whom it is about; of an invitation the first of them. */
  readonly target?: NamedUser | undefined;
  /** Of an invitation: all who were invited. */
  readonly targets?: readonly NamedUser[] | undefined;
  /** Of a renaming: the new name. */
  readonly roomName?: string | undefined;
}

/** A stored message with how many members have not read it yet: what clients see, in frames and in histories. */
export interface ShownMessage {
  readonly message: StoredMessage;
  readonly unreadCount: number;
}

/** A message as it is shown: a system message never counts as unread, whoever has read it or not. */
export const shownWith = (message: StoredMessage, unread: number): ShownMessage => ({
  message,
  unreadCount: isSystem(message) ? 0 : unread,
});

/** The JSON object of a message as clients get it. */
export function messageShown({ message, unreadCount }: ShownMessage): object {
  return {
    messageId: message.messageId,
    seq: message.seq,
    roomId: message.roomId,
    senderId: message.senderId,
    senderNickname: message.senderNickname,
    clientMessageId: message.clientMessageId,
    type: message.type,
    content: message.content,
    sentAt: message.sentAt.toISOString(),
    unreadCount,
    // Of whom or what a system message speaks.
    ...(message.target && { target: message.target }),
    ...(message.targets && { targets: message.targets }),
    ...(message.roomName !== undefined && { roomName: message.roomName }),
  };
}

/** The headers and body of a message's MESSAGE frame, all but its `subscription`. */
export function messageShownFrame(
  shown: ShownMessage,
): readonly [headers: Record<string, string>, body: string] {
  const { roomId, messageId } = shown.message;
  const headers = {
    destination: `/sub/chat/room/${roomId}`,
    "message-id": String(messageId),
    "content-type": "application/json",
  };
  return [headers, JSON.stringify(messageShown(shown))];
}

/**
 * How many members have not read up to a `seq`, from how many stand at each read position (ascending). One pass builds it,
 * a binary search answers.
 */
export function unreadCounter(
  positions: readonly (readonly [lastReadSeq: number, members: number])[],
): (seq: number) => number {
  let sum = 0;
  const below = positions.map(([, members]) => {
    sum += members;
    return sum;
  });
  return (seq) => {
    let low = 0;
    let high = positions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (positions[middle]![0] < seq) low = middle + 1;
      else high = middle;
    }
    return below[low - 1] ?? 0;
  };
}

/** The `seq` of the oldest and of the newest of these messages, which are in any order and at least one. */
export function spanOf(messages: readonly StoredMessage[]): readonly [oldest: number, newest: number] {
  let [oldest, newest] = [Number.MAX_SAFE_INTEGER, 0];
  for (const { seq } of messages) {
    oldest = Math.min(oldest, seq);
    newest = Math.max(newest, seq);
  }
  return [oldest, newest];
}
