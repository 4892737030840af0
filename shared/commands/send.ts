import { createHash } from "node:crypto";
import { z } from "zod";
import { requireMember } from "../chat/membership.js";
import {
  CLIENT_ID_CHARACTERS,
  CONTENT_CHARACTERS,
  Id,
  MESSAGES_HUB,
  MessageSent,
} from "../events/messages.js";
import { about, ChatError } from "../platform/errors.js";
import { isHttpsUrl, opaque, visibleLines } from "../platform/text.js";
import type { Command } from "./command.js";
import { parsePayload } from "./payload.js";

const Payload = z
  .object({
    roomId: Id,
    content: visibleLines(CONTENT_CHARACTERS),
    type: z.enum(["TEXT", "IMAGE"]).default("TEXT"),
    clientMessageId: z.union([opaque(CLIENT_ID_CHARACTERS), z.int()]).nullish(),
  })
  .refine((payload) => payload.type !== "IMAGE" || isHttpsUrl(payload.content), {
    path: ["content"],
    error: "must be an https URL for an IMAGE",
  });

/**
 * SEND to `/pub/chat/message`: publishes the message and returns once the bus has stored it. The sender is the connection's
 * user, whatever the payload says. Throws `INVALID_MESSAGE`, `NOT_A_MEMBER`, or `UNAVAILABLE` when the bus did not answer in
 * time: then the client sends it again, with the same `clientMessageId`.
 */
export const send: Command = async ({ frame, eventId, traceparent }, connection, deps) => {
  const { payload, details } = parsePayload(Payload, frame.body);
  try {
    await requireMember(payload.roomId, connection.userId, deps);
    const event: MessageSent = {
      v: 1,
      eventId: createHash("sha256").update(eventId).digest("base64url"),
      roomId: payload.roomId,
      senderId: connection.userId,
      senderNickname: connection.state.nickname ?? `User ${connection.userId}`,
      clientMessageId: payload.clientMessageId ?? null,
      type: payload.type,
      content: payload.content,
      sentAt: new Date(deps.now()).toISOString(),
    };
    await deps.bus.publish(MESSAGES_HUB, String(payload.roomId), MessageSent.parse(event), traceparent);
  } catch (error) {
    throw error instanceof ChatError ? about(error, details) : error;
  }
  return { frames: [], state: connection.state };
};
