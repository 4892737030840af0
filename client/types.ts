import type { ChatError } from "./errors.js";

/** What a client may send. */
export type ContentType = "TEXT" | "IMAGE";
/** What the service says about a room: who came and went (`subjectsOf` the message), and its new name (`roomName`). */
export type SystemType = "SYSTEM_INVITE" | "SYSTEM_LEAVE" | "SYSTEM_KICK" | "SYSTEM_RENAME";

/** A user as messages name them. */
export interface NamedUser {
  readonly userId: number;
  readonly nickname: string;
}

/** A message as the service stores and broadcasts it. */
export interface Message {
  readonly messageId: number;
  /** Its place in the room: 1, 2, 3, … without a gap. */
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
  /** How many members have not read it yet; kept up to date while the room is open. 0 of system messages. */
  readonly unreadCount: number;
  readonly target?: NamedUser;
  /** Of a `SYSTEM_INVITE` all whom it is about; `target` is the first of them. */
  readonly targets?: readonly NamedUser[];
  /** Of a `SYSTEM_RENAME`. */
  readonly roomName?: string;
}

/** A message that is in the room's history. */
export interface StoredMessage extends Message {
  readonly state: "stored";
}

/** One's own message on its way; it has no place in the room yet. */
export interface PendingMessage {
  /** `accepted`: can't be lost any more. `refused`: never will be stored, see `error`. */
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
  /** Of a one-to-one room the other user's nickname. */
  readonly name: string | null;
  readonly imageUrl: string | null;
  readonly memberCount: number;
  readonly unreadCount: number;
  readonly lastMessage: LastMessage | null;
}

/** Of an invitation `targets` may be the first three only. */
export interface LastMessage
  extends Pick<Message, "messageId" | "seq" | "content" | "type" | "sentAt" | "senderId">,
    Partial<Pick<Message, "senderNickname" | "target" | "targets" | "roomName">> {}

/** Somebody has made the user a member of a room. */
export interface RoomAdded {
  readonly roomId: number;
  /** A group's; null in a one-to-one room. */
  readonly roomName: string | null;
  readonly by: NamedUser;
}

export interface Member {
  readonly userId: number;
  readonly nickname: string;
  readonly profileImageUrl: string | null;
  readonly joinedAt: string;
  readonly isCreator: boolean;
  /** Has never used the service: in no `unreadCount` until they do. */
  readonly isAwaited?: boolean;
  readonly lastReadMessageId: number | null;
}

/** A group's members and one of its messages. Who joined after it, or is awaited, is in neither. */
export interface MessageReaders {
  /** Its sender, too. */
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
  /** It comes back by itself at `retryAt` (milliseconds since 1970), or as soon as the device is online again. */
  | { readonly status: "waiting"; readonly retryAt: number; readonly error: ChatError }
  /** It does not come back by itself: the session was ended or identity refused. `connect()` tries anew. */
  | { readonly status: "closed"; readonly error: ChatError };

/**
 * Where unsent messages are kept; `indexedDbOutbox` survives a reload, the usual one doesn't. A call doesn't wait for the one before:
 * they must take effect in the order in which they are made.
 */
export interface Outbox {
  /** All of a user's messages, the oldest first. */
  load(userId: number): Promise<readonly OutboxEntry[]>;
  /** Adds the message, or takes the place of the one with the same user, room and `clientMessageId`. */
  put(entry: OutboxEntry): Promise<void>;
  remove(entry: OutboxEntry): Promise<void>;
}

export interface OutboxEntry extends Omit<PendingMessage, "error"> {
  readonly userId: number;
  /** The `clientMessageId` of the refused message whose place it takes: that one is to go when this one comes. */
  readonly replaces?: string;
  /** Why it was refused. */
  readonly refusal?: { readonly code: string; readonly message: string };
}
