/** Codes of the service, and from `OFFLINE` on this client's own. */
export type ErrorCode =
  | "RATE_LIMIT_EXCEEDED"
  | "NOT_A_MEMBER"
  | "INVALID_MESSAGE"
  | "MESSAGE_TOO_LARGE"
  | "CLIENT_MESSAGE_ID_REUSED"
  | "IDEMPOTENCY_KEY_REUSED"
  | "UNKNOWN_DESTINATION"
  | "TOO_MANY_SUBSCRIPTIONS"
  | "UNAUTHORIZED"
  | "TOKEN_EXPIRED"
  | "SESSION_CLOSED"
  | "MALFORMED_FRAME"
  | "NOT_SUPPORTED"
  | "UNAVAILABLE"
  | "OFFLINE"
  | "ABORTED"
  | "MESSAGE_NOT_FOUND"
  | "OUTBOX_FULL"
  | "OUTBOX_FAILED"
  | "UNEXPECTED"
  // The HTTP calls have more, and later services may have others.
  | (string & {});

export interface ChatErrorDetails {
  /** Seconds after which the same call may pass. */
  readonly retryAfter?: number;
  readonly roomId?: number;
  readonly clientMessageId?: string | number;
  /** The wrong field of an HTTP request. */
  readonly field?: string;
  /** Why a session was closed: `SESSION_LIMIT`, `DEVICE_RECONNECTED` or `LOGGED_OUT`. */
  readonly reason?: string;
  readonly status?: number;
  readonly cause?: unknown;
}

/** Everything that this package rejects with and reports. */
export class ChatError extends Error {
  readonly code: ErrorCode;
  // Only declared: an error is printed without the properties that it doesn't have.
  declare readonly retryAfter?: number;
  declare readonly roomId?: number;
  declare readonly clientMessageId?: string | number;
  declare readonly field?: string;
  declare readonly reason?: string;
  /** The status of the HTTP answer. */
  declare readonly status?: number;

  constructor(code: ErrorCode, message: string, { cause, ...details }: ChatErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "ChatError";
    this.code = code;
    Object.assign(this, details);
  }
}

/** What a thrown thing says about itself. */
export const textOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown);

/**
 * Returns a `ChatError` as it is. Anything else is a bug, here or elsewhere: it becomes the cause of an
 * `UNEXPECTED`. `tell` hears of what was not expected.
 */
export function toChatError(thrown: unknown, tell?: (error: ChatError) => void): ChatError {
  const text = "something unexpected happened";
  const error =
    thrown instanceof ChatError
      ? thrown
      : new ChatError("UNEXPECTED", `${text}: ${textOf(thrown)}`, { cause: thrown });
  if (isUnexpected(error)) tell?.(error);
  return error;
}

export const isUnexpected = ({ code }: ChatError): boolean => code === "UNEXPECTED";

/** How many tries in a row a work has that fails in an unexpected way. A bug seldom passes by itself. */
const MOST_TRIES = 3;

/** Whether a work is not tried again after this error, where this many tries have failed before. */
export const isHopeless = (error: ChatError, failures: number): boolean =>
  isUnexpected(error) && failures >= MOST_TRIES - 1;

const FINAL: ReadonlySet<string> = new Set(["SESSION_CLOSED", "UNAUTHORIZED", "TOKEN_EXPIRED"]);

/**
 * Whether a client that the service closed with this code must not come back by itself with the same token.
 *
 * @example
 * client.on("server-message", ({ message }) => {
 *   if (isFinal(message.data.code)) client.stop();
 * });
 */
export const isFinal = (code: string): boolean => FINAL.has(code);

const OF_ROOM: ReadonlySet<string> = new Set(["NOT_A_MEMBER", "ROOM_NOT_FOUND"]);

/**
 * Whether the service says that the user can't have the room. Other failures may come from something on the
 * way.
 */
export const isOfRoom = (code: string): boolean => OF_ROOM.has(code);
