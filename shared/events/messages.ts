import { hash } from "node:crypto";
import { z } from "zod";
import { atMost } from "../platform/text.js";
import { parseEvent } from "./parseEvent.js";

/** The hubs, and the consumer group that `readRange` reads them with. */
export const MESSAGES_HUB = "chat-messages";
export const MESSAGES_DEAD_LETTER_HUB = "chat-messages-dlt";
export const RECOVER_GROUP = "chat-recover";

export const Id = z.int().positive();

export const CLIENT_ID_CHARACTERS = 64;

/**
 * A client's own id for a message. It makes repeats harmless. The string `"5"` and the integer `5` are two
 * ids.
 */
export const ClientMessageId = z.union([
  z
    .string()
    .min(1)
    .refine(
      (text) => atMost(text, CLIENT_ID_CHARACTERS),
      `must have at most ${CLIENT_ID_CHARACTERS} characters`,
    )
    .refine((text) => text.isWellFormed(), "must be well-formed Unicode"),
  z.int(),
]);

export const CONTENT_CHARACTERS = 5_000;
const NICKNAME_CHARACTERS = 100;

/**
 * Text of a message as it stands on the bus: 1 to 5,000 characters (code points), not only white space,
 * without lone surrogates. The rules for text that a client sends are stricter (`platform/text.ts`).
 */
export const Content = z
  .string()
  .refine((text) => text.trim() !== "", "must not be empty or only white space")
  .refine((text) => atMost(text, CONTENT_CHARACTERS), `must have at most ${CONTENT_CHARACTERS} characters`)
  .refine((text) => text.isWellFormed(), "must be well-formed Unicode, without lone surrogates");

export const MessageType = z.enum([
  "TEXT",
  "IMAGE",
  "SYSTEM_INVITE",
  "SYSTEM_LEAVE",
  "SYSTEM_KICK",
  "SYSTEM_RENAME",
]);

/** At most 100 characters (code points), as in a token's identity and in the store's column. */
const Nickname = z
  .string()
  .min(1)
  .refine((text) => atMost(text, NICKNAME_CHARACTERS), `must have at most ${NICKNAME_CHARACTERS} characters`);

/** A user by id and name. */
export const NamedUser = z.object({ userId: Id, nickname: Nickname });
export type NamedUser = Readonly<z.infer<typeof NamedUser>>;

/**
 * Whether a message announces a change of a room. Only the service publishes such messages. The user who
 * caused the change may be a member no more. The message never counts as unread.
 */
export const isSystem = ({ type }: Pick<MessageSent, "type">): boolean => type.startsWith("SYSTEM_");

/** Somebody sent a message. The event stands in `chat-messages`, keyed by `roomId`. */
export const MessageSent = z.object({
  v: z.literal(1),
  /**
   * The same for every copy of one frame, also for a copy that the socket service or the bus's client
   * repeats.
   */
  eventId: z.string().min(1).max(64),
  roomId: Id,
  senderId: Id,
  senderNickname: Nickname,
  clientMessageId: ClientMessageId.nullable(),
  type: MessageType,
  content: Content,
  /** ISO 8601, UTC, milliseconds. */
  sentAt: z.iso.datetime({ precision: 3 }),
  /** In a change of members: the user who was invited (the first of them) or removed, or who has left. */
  target: NamedUser.optional(),
  /** In an invitation: all users who were invited. */
  targets: z.array(NamedUser).min(1).optional(),
  /** In a renaming: the new name. */
  roomName: z.string().min(1).optional(),
});
export type MessageSent = z.infer<typeof MessageSent>;

/** The event of a message that was sent at this time. Its parts have been checked where they came in. */
export const messageSent = ({
  at,
  ...message
}: Omit<MessageSent, "v" | "sentAt"> & { readonly at: Date }): MessageSent => ({
  v: 1,
  ...message,
  sentAt: at.toISOString(),
});

/** Reads an event's bytes. Throws `INVALID_MESSAGE`, which says what is wrong. */
export const parseMessageSent = (body: Uint8Array): MessageSent => parseEvent(MessageSent, body);

/**
 * Whether two messages with the same key say the same. A client that uses one id for two messages must hear
 * of it, because only one of them is stored.
 */
export const saysTheSame = (
  one: Pick<MessageSent, "type" | "content">,
  other: Pick<MessageSent, "type" | "content">,
): boolean => one.type === other.type && one.content === other.content;

/**
 * 16 bytes that are equal for repeats of one message in a room and for nothing else. They come from the
 * sender and the sender's `clientMessageId`, or from the event's own id if the client gave none.
 */
export function dedupeKey(event: MessageSent): Buffer {
  const own =
    event.clientMessageId === null ? `e${event.eventId}` : `c${JSON.stringify(event.clientMessageId)}`;
  return hash("sha256", `${event.senderId} ${own}`, "buffer").subarray(0, 16);
}
