import type { ChatError } from "@nonstop/chat-client";
import type { Texts } from "./texts/en.js";

/**
 * Says in the user's language what went wrong and what helps. Undefined stands for an error that is not the
 * client's.
 */
export function errorText(error: ChatError | undefined, { errors, otherError }: Texts): string {
  const texts = new Map<string, string>(Object.entries(errors));
  return texts.get(error?.code ?? "") ?? otherError;
}
