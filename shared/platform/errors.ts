/**
 * The one error of the deployed code. It is thrown where the cause is known and translated once, at the
 * trigger: to an ERROR frame, an HTTP status or a retry.
 */

/** Codes that clients see; the same in ERROR frames, on `/user/queue/errors` and in problem+json. */
export type ErrorCode =
  | "RATE_LIMIT_EXCEEDED"
  | "NOT_A_MEMBER"
  | "INVALID_MESSAGE"
  | "CLIENT_MESSAGE_ID_REUSED"
  | "MESSAGE_TOO_LARGE"
  | "UNKNOWN_DESTINATION"
  | "TOO_MANY_SUBSCRIPTIONS"
  | "UNAUTHORIZED"
  | "TOKEN_EXPIRED"
  | "SESSION_CLOSED"
  | "MALFORMED_FRAME"
  | "NOT_SUPPORTED"
  | "UNAVAILABLE"
  | "INVALID_REQUEST"
  | "IDEMPOTENCY_KEY_REUSED"
  | "FORBIDDEN"
  | "ROOM_NOT_FOUND"
  | "MEMBER_NOT_FOUND"
  | "MESSAGE_NOT_FOUND";

export interface ErrorDetails {
  /** What caused it; never shown to clients. */
  readonly cause?: unknown;
  /** The field of the request or payload that is wrong. */
  readonly field?: string;
  /** Seconds until the same request would pass. */
  readonly retryAfter?: number;
  readonly roomId?: number;
  readonly clientMessageId?: string | number | null;
  /** The versions of STOMP that this server speaks, where a client speaks none of them. */
  readonly versions?: string;
  /** No try helps before whoever runs the service has mended it. */
  readonly toBeMended?: true;
}

export class ChatError extends Error {
  override readonly name = "ChatError";
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.details = details;
  }

  /** Whether the same request can succeed later without being changed. */
  get retryable(): boolean {
    return this.code === "UNAVAILABLE" || this.code === "RATE_LIMIT_EXCEEDED";
  }
}

/** The same error with the room and the client's own message id attached, so that a client can match it. */
export function about(error: ChatError, details: ErrorDetails): ChatError {
  return new ChatError(error.code, error.message, { ...details, ...error.details });
}

/** Whatever was thrown, as a `ChatError`: an unforeseen failure is `UNAVAILABLE`, with its cause kept for the log. */
export function toChatError(thrown: unknown): ChatError {
  if (thrown instanceof ChatError) return thrown;
  return new ChatError("UNAVAILABLE", "The service can't do this right now; try again.", { cause: thrown });
}

/**
 * What fails until whoever runs the service has mended it. Still `UNAVAILABLE`, as nothing is wrong with the request and what was said to be stored waits; but it doesn't ask anybody to
 * try again.
 */
export const toBeMended = (cause: unknown): ChatError =>
  new ChatError("UNAVAILABLE", "The service can't do this before whoever runs it has mended it.", {
    cause,
    toBeMended: true,
  });

/** Whether a failure is one that only whoever runs the service can mend. */
export const isToBeMended = (error: unknown): boolean =>
  error instanceof ChatError && error.details.toBeMended === true;

/** What another part says can never be done as it is: a table, a hub or a right that is missing. */
export interface Fault {
  /** What it says, without any value of a user's. */
  readonly what: string;
  /** The beginning of the statement, where there is one. */
  readonly statement?: string;
  /** Which of those that are alike, whatever ids and times their texts hold. */
  readonly kind: string;
  /** It is about who asks, a key or a version: others who ask may do well. */
  readonly isOwn?: boolean;
}

export type OnFault = (fault: Fault) => void;

/** The JSON body of an ERROR frame and of a message on `/user/queue/errors`. */
export function errorBody(error: ChatError): string {
  const { retryAfter, roomId, clientMessageId } = error.details;
  return JSON.stringify({
    type: "ERROR",
    code: error.code,
    message: error.message,
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(roomId === undefined ? {} : { roomId }),
    ...(clientMessageId === undefined || clientMessageId === null ? {} : { clientMessageId }),
  });
}

const HTTP_STATUS: Readonly<Record<ErrorCode, number>> = {
  RATE_LIMIT_EXCEEDED: 429,
  NOT_A_MEMBER: 403,
  INVALID_MESSAGE: 400,
  CLIENT_MESSAGE_ID_REUSED: 409,
  MESSAGE_TOO_LARGE: 413,
  UNKNOWN_DESTINATION: 404,
  TOO_MANY_SUBSCRIPTIONS: 429,
  UNAUTHORIZED: 401,
  TOKEN_EXPIRED: 401,
  SESSION_CLOSED: 409,
  MALFORMED_FRAME: 400,
  NOT_SUPPORTED: 501,
  UNAVAILABLE: 503,
  INVALID_REQUEST: 400,
  IDEMPOTENCY_KEY_REUSED: 422,
  FORBIDDEN: 403,
  ROOM_NOT_FOUND: 404,
  MEMBER_NOT_FOUND: 404,
  MESSAGE_NOT_FOUND: 404,
};

export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The error as an `application/problem+json` answer (RFC 9457); `code` is an extension member, `field` names what is wrong. */
export function toProblem(error: ChatError): Problem {
  const status = HTTP_STATUS[error.code];
  const { field, retryAfter } = error.details;
  return {
    status,
    headers: {
      "content-type": "application/problem+json",
      // RFC 9110 section 11.6.1: a 401 names the scheme that would help.
      ...(status === 401 ? { "www-authenticate": "Bearer" } : {}),
      ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
    },
    body: JSON.stringify({
      type: "about:blank",
      title: error.code,
      status,
      detail: error.message,
      code: error.code,
      ...(field === undefined ? {} : { field }),
      ...(retryAfter === undefined ? {} : { retryAfter }),
    }),
  };
}
