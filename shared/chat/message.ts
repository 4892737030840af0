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
  /** Of a change of members: the user it is about; of an invitation the first of them. */
  readonly target?: NamedUser | undefined;
  /** Of an invitation: all who were invited. */
  readonly targets?: readonly NamedUser[] | undefined;
  /** Of a renaming: the new name. */
  readonly roomName?: string | undefined;
}

/**
 * A stored message with the number of members who have not read it yet: what clients see, in frames and in
 * histories.
 */
export interface ShownMessage {
  readonly message: StoredMessage;
  readonly unreadCount: number;
}

/** A message as it is shown to clients. A system message never counts as unread. */
export const shownWith = (message: StoredMessage, unread: number): ShownMessage => ({
  message,
  unreadCount: isSystem(message) ? 0 : unread,
});
