import { z } from "zod";
import { ClientMessageId, Id } from "../events/messages.js";
import { about, ChatError, type ErrorDetails } from "../platform/errors.js";

/**
 * Parses a SEND's JSON body by a schema, and hands it to `work`. Throws `INVALID_MESSAGE` that names the
 * field. Every error of the body or of the work also bears what lets the client know its message again.
 */
export async function withPayload<Schema extends z.ZodType>(
  schema: Schema,
  body: string,
  work: (payload: z.output<Schema>) => Promise<void>,
): Promise<void> {
  const json = parseJson(body);
  try {
    await work(checked(schema, json));
  } catch (error) {
    throw error instanceof ChatError ? about(error, recognizableIn(json)) : error;
  }
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new ChatError("INVALID_MESSAGE", "The body is not JSON.", { cause });
  }
}

function checked<Schema extends z.ZodType>(schema: Schema, json: unknown): z.output<Schema> {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = issue?.path.join(".") || "body";
  throw new ChatError("INVALID_MESSAGE", `${field}: ${issue?.message}`, { field });
}

/** What an error about a payload says, so that the client knows its message again. Never throws. */
export function recognizable(body: string): ErrorDetails {
  try {
    return recognizableIn(JSON.parse(body));
  } catch {
    return {};
  }
}

const Recognizable = z.object({
  roomId: Id.optional().catch(undefined),
  clientMessageId: ClientMessageId.optional().catch(undefined),
});

/** The room and the client's own id of a payload, as far as they can be read. */
function recognizableIn(json: unknown): ErrorDetails {
  const { roomId, clientMessageId } = Recognizable.safeParse(json).data ?? {};
  return {
    ...(roomId === undefined ? {} : { roomId }),
    ...(clientMessageId === undefined ? {} : { clientMessageId }),
  };
}
