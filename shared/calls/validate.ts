import type { z } from "zod";
import { ChatError } from "../platform/errors.js";

/**
 * The fields of a request as their schema has them, without unknown ones. Throws `INVALID_REQUEST`, which
 * names the first wrong field.
 */
export function validated<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = issue?.path.join(".") || "body";
  throw new ChatError("INVALID_REQUEST", `${field}: ${issue?.message}`, { field });
}
