import { newClientMessageId } from "./clientMessageId.js";
import { ChatError } from "./errors.js";
import type { ContentType, OutboxEntry, StoredMessage } from "./types.js";

/** A message of the user's that was not seen in the history yet. */
export interface Pending {
  entry: OutboxEntry;
  error: ChatError | undefined;
  readonly stored: Promise<StoredMessage>;
  settle(result: StoredMessage | ChatError): void;
  /** How often the history has answered that it doesn't have the message. */
  lookUps: number;
  /** How often in a row looking for it has failed in an unexpected way. */
  failures: number;
  /** Ends the plan to look for it; undefined where there is none. */
  look: (() => void) | undefined;
  /** An earlier run has left it. */
  isLeft: boolean;
}

/** `error` is why it was refused, where it was. */
export function pendingOf(entry: OutboxEntry, error: ChatError | undefined): Pending {
  let settle!: Pending["settle"];
  const stored = new Promise<StoredMessage>((resolve, reject) => {
    settle = (result) => (result instanceof ChatError ? reject(result) : resolve(result));
  });
  return { entry, error, stored, settle, lookUps: 0, failures: 0, look: undefined, isLeft: false };
}

export const newEntry = (
  userId: number,
  roomId: number,
  content: string,
  type: ContentType,
): OutboxEntry => ({
  state: "sending",
  userId,
  roomId,
  clientMessageId: newClientMessageId(),
  type,
  content,
  createdAt: new Date().toISOString(),
});

/** The body of its SEND. */
export const bodyOf = ({ roomId, content, type, clientMessageId }: OutboxEntry) => ({
  roomId,
  content,
  type,
  clientMessageId,
});
