import { ChatError } from "@nonstop/chat-client";

/**
 * What was caught, if it is an error of the client. Anything else is a fault of the page: undefined, and the
 * browser reports it as it reports an error that nobody caught.
 */
export function caught(thrown: unknown): ChatError | undefined {
  if (thrown instanceof ChatError) return thrown;
  reportError(thrown);
  return undefined;
}
