import type { ChatError } from "@nonstop/chat-client";
import type { Texts } from "./texts/en.js";

/** What went wrong and what helps, in the user's language. */
export function errorText(error: Error | undefined, { errors, otherError }: Texts): string {
  const code = (error as Partial<ChatError> | undefined)?.code ?? "";
  return Object.hasOwn(errors, code) ? errors[code as keyof typeof errors] : otherError;
}
