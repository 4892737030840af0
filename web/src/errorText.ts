import type { ChatError } from "@nonstop/chat-client";
import type { Texts } from "./texts/en.js";

/**
 * What went wrong and what helps, in the user's language. Undefined stands for what the client does not know.
 */
export function errorText(error: ChatError | undefined, { errors, otherError }: Texts): string {
  const texts = new Map<string, string>(Object.entries(errors));
  return texts.get(error?.code ?? "") ?? otherError;
}
