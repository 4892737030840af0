import type { z } from "zod";
import { ChatError } from "../platform/errors.js";

/** Reads an event's bytes as its schema says. Throws `INVALID_MESSAGE`, which says what is wrong. */
export function parseEvent<Schema extends z.ZodType>(schema: Schema, body: Uint8Array): z.output<Schema> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    throw new ChatError("INVALID_MESSAGE", "The event is not JSON in UTF-8.", { cause });
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new ChatError(
    "INVALID_MESSAGE",
    `The event's ${issue?.path.join(".") || "shape"} is wrong: ${issue?.message}`,
  );
}
