import type { ShownMessage } from "../chat/message.js";
import type { MessageFrame } from "./frame.js";

/** The JSON object of a message as clients get it. */
export function messageShown({ message, unreadCount }: ShownMessage) {
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
    // The user or the name that a system message is about.
    ...(message.target && { target: message.target }),
    ...(message.targets && { targets: message.targets }),
    ...(message.roomName !== undefined && { roomName: message.roomName }),
  };
}

/** The frame of a message for the subscribers of its room. */
export const messageFrame = (shown: ShownMessage): MessageFrame => ({
  destination: { kind: "room", roomId: shown.message.roomId },
  messageId: String(shown.message.messageId),
  body: JSON.stringify(messageShown(shown)),
});
