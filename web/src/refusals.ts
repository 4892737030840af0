import { ChatError } from "@nonstop/chat-client";
import type { Texts } from "./texts/en.js";

/** Why it was refused, in the user's language. */
export function refusalText(error: unknown, { refusals }: Texts): string {
  const code: string = error instanceof ChatError ? error.code : "OTHER";
  if (code === "INVALID_MESSAGE" || code === "MESSAGE_TOO_LARGE" || code === "NOT_A_MEMBER")
    return refusals[code];
  return refusals.OTHER;
}
