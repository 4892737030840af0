import { z } from "zod";
import { requireMember } from "../chat/membership.js";
import { Id } from "../events/messages.js";
import { acceptRead } from "../reads/accept.js";
import type { Command } from "./command.js";
import { withPayload } from "./payload.js";

const Payload = z.object({ roomId: Id, messageId: Id });

/**
 * SEND to `/pub/chat/read`: publishes that the connection's user has read a room up to a message, and returns
 * once the bus has stored it. Throws `INVALID_MESSAGE`, `NOT_A_MEMBER`, or `UNAVAILABLE` when the bus did not
 * answer in time; a repeat is harmless.
 */
export const read: Command = async ({ frame, traceparent }, { userId, state }, deps) => {
  await withPayload(Payload, frame.body, (payload) => {
    const requireMembership = () => requireMember(payload.roomId, userId, deps);
    return acceptRead({ traceparent, ...payload, userId }, requireMembership, deps);
  });
  return { frames: [], state };
};
