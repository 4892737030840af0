import { z } from "zod";
import { ClientMessageId, Id } from "../events/messages.js";
import { ChatError, type ErrorDetails } from "../platform/errors.js";

/** A SEND's JSON body as its schema says, and what of it lets the client know its message again in an error. Throws `INVALID_MESSAGE` that names the field. */
export function parsePayload<Schema extends z.ZodType>(
  schema: Schema,
  body: string,
): { payload: z.output<Schema>; details: ErrorDetails } {
  const result = schema.safeParse(parseJson(body));
  const details = recognizable(body);
  if (result.success) return { payload: result.data, details };
  const issue = result.error.issues[0];
  const field = issue?.path.join(".") || "body";
  throw new ChatError("INVALID_MESSAGE", `${field}: ${issue?.message}`, { ...details, field });
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new ChatError("INVALID_MESSAGE", "The body is not JSON.", { cause });
  }
}

const Recognizable = z.object({
  roomId: Id.optional().catch(undefined),
  clientMessageId: ClientMessageId.optional().catch(undefined),
});

/** The room and the client's own id of a payload, as far as they can be read: what an error about it says. Never throws. */
export function recognizable(body: string): ErrorDetails {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return {};
  }
  const { roomId, clientMessageId } = Recognizable.safeParse(json).data ?? {};
  return {
    ...(roomId === undefined ? {} : { roomId }),
    ...(clientMessageId === undefined ? {} : { clientMessageId }),
  };
}
