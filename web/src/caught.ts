import { ChatError } from "@nonstop/chat-client";

/**
 * Returns what a `catch` got, if the client has thrown it. Anything else is a fault of the page. The browser
 * reports it like an error that nobody caught, and the function returns undefined.
 */
export function caught(thrown: unknown): ChatError | undefined {
  if (thrown instanceof ChatError) return thrown;
  reportError(thrown);
  return undefined;
}
