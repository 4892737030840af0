import type { ChatError } from "./errors.js";

/** A kind of message that a client may send. */
export type ContentType = "TEXT" | "IMAGE";
/**
 * A kind of message that the service writes: about who came and went (`subjectsOf` it), or a new name
 * (`roomName`).
 */
export type SystemType = "SYSTEM_INVITE" | "SYSTEM_LEAVE" | "SYSTEM_KICK" | "SYSTEM_RENAME";

/** A user as messages name them. */
export interface NamedUser {
  readonly userId: number;
  readonly nickname: string;
}

/** A message as the service stores and broadcasts it. */
export interface Message {
  readonly messageId: number;
  /** Its number in the room: 1, 2, 3, … without a gap. */
  readonly seq: number;
  readonly roomId: number;
  readonly senderId: number;
  readonly senderNickname: string;
  readonly clientMessageId?: string | number | null;
  readonly type: ContentType | SystemType;
  /** Plain text; for `IMAGE` an https URL. */
  readonly content: string;
  /** ISO 8601, UTC. */
  readonly sentAt: string;
  /** How many members have not read it yet, kept up to date while the room is open. 0 for system messages. */
  readonly unreadCount: number;
  readonly target?: NamedUser;
  /** All users whom a `SYSTEM_INVITE` is about; `target` is the first of them. */
  readonly targets?: readonly NamedUser[];
  /** The new name that a `SYSTEM_RENAME` tells. */
  readonly roomName?: string;
}

/** A message that is in the room's history. */
export interface StoredMessage extends Message {
  readonly state: "stored";
}

/** The user's own message on its way. It has no `seq` yet. */
export interface PendingMessage {
  /** `accepted`: it can't be lost any more. `refused`: it is not stored, see `error`. */
  readonly state: "sending" | "accepted" | "refused";
  readonly roomId: number;
  readonly clientMessageId: string;
  readonly type: ContentType;
  readonly content: string;
  /** By this device's clock; ISO 8601, UTC. */
  readonly createdAt: string;
  readonly error?: ChatError;
}

export type RoomMessage = StoredMessage | PendingMessage;

/** A room as the list shows it. */
export interface RoomSummary {
  readonly roomId: number;
  readonly type: "ONE_TO_ONE" | "GROUP";
  /** In a one-to-one room the other user's nickname. */
  readonly name: string | null;
  readonly imageUrl: string | null;
  readonly memberCount: number;
  readonly unreadCount: number;
  readonly lastMessage: LastMessage | null;
}

/** A room's last message. The `targets` of an invitation may be the first three only. */
export interface LastMessage
  extends Pick<Message, "messageId" | "seq" | "content" | "type" | "sentAt" | "senderId">,
    Partial<Pick<Message, "senderNickname" | "target" | "targets" | "roomName">> {}

/** Somebody has made the user a member of a room. */
export interface RoomAdded {
  readonly roomId: number;
  /** The name of a group; null in a one-to-one room. */
  readonly roomName: string | null;
  readonly by: NamedUser;
}

export interface Member {
  readonly userId: number;
  readonly nickname: string;
  readonly profileImageUrl: string | null;
  readonly joinedAt: string;
  readonly isCreator: boolean;
  /** The user has never used the service, and counts in no `unreadCount` until they do. */
  readonly isAwaited?: boolean;
  readonly lastReadMessageId: number | null;
}

/**
 * Which of a group's members have read a message. Members who are awaited are in neither list, later ones not
 * in `readBy`.
 */
export interface MessageReaders {
  /** With its sender. */
  readonly readBy: readonly Member[];
  /** As many as the message's `unreadCount`. */
  readonly notReadBy: readonly Member[];
}

/** How the client stands with the service. */
export type ConnectionState =
  /** Before `connect()` and after `disconnect()`. */
  | { readonly status: "idle" }
  | { readonly status: "connecting" }
  | { readonly status: "connected" }
  /**
   * The client tries again at `retryAt` (milliseconds since 1970), or as soon as the device is online again.
   */
  | { readonly status: "waiting"; readonly retryAt: number; readonly error: ChatError }
  /**
   * The client does not come back by itself: the service has ended the session or refused the identity, or a
   * bug is in the way (`UNEXPECTED`). `connect()` tries again.
   */
  | { readonly status: "closed"; readonly error: ChatError };

/**
 * Where unsent messages are kept. `indexedDbOutbox` survives a reload, `memoryOutbox` doesn't. The client
 * doesn't wait for a call before the next one: calls must take effect in their order.
 */
export interface Outbox {
  /** All of a user's messages, the oldest first. */
  load(userId: number): Promise<readonly OutboxEntry[]>;
  /**
   * Adds the message, or replaces the one with the same user, room and `clientMessageId`, at its position.
   */
  put(entry: OutboxEntry): Promise<void>;
  remove(entry: OutboxEntry): Promise<void>;
}

export interface OutboxEntry extends Omit<PendingMessage, "error"> {
  readonly userId: number;
  /** The `clientMessageId` of a refused message that this one replaces, at its position. */
  readonly replaces?: string;
  /** Why it was refused. */
  readonly refusal?: { readonly code: string; readonly message: string };
}
