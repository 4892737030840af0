import { z } from "zod";
import { requireMember } from "../chat/membership.js";
import {
  CLIENT_ID_CHARACTERS,
  CONTENT_CHARACTERS,
  Id,
  MESSAGES_HUB,
  messageSent,
} from "../events/messages.js";
import { isHttpsUrl, opaque, visibleLines } from "../platform/text.js";
import { annotate } from "../platform/trace.js";
import { namelessUser } from "../store/users.js";
import type { Command } from "./command.js";
import { withPayload } from "./payload.js";

/** What it takes, storing takes: its rules are no wider than those of the event. */
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
 * SEND to `/pub/chat/message`: publishes the message and returns once the bus has stored it. The sender is
 * the connection's user, whatever the payload says. Throws `INVALID_MESSAGE`, `NOT_A_MEMBER`, or
 * `UNAVAILABLE` when the bus did not answer in time: then the client sends it again, with the same
 * `clientMessageId`.
 */
export const send: Command = async ({ frame, eventId, traceparent }, { userId, state }, deps) => {
  await withPayload(Payload, frame.body, async ({ roomId, type, content, clientMessageId = null }) => {
    annotate(() => ({ "chat.room.id": roomId, "messaging.message.id": eventId }));
    await requireMember(roomId, userId, deps);
    const event = messageSent({
      eventId,
      roomId,
      senderId: userId,
      senderNickname: state.nickname ?? namelessUser(userId),
      clientMessageId,
      type,
      content,
      at: new Date(deps.now()),
    });
    await deps.bus.publish(MESSAGES_HUB, String(roomId), event, traceparent);
  });
  return { frames: [], state };
};
