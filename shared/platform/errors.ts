/** Codes that clients see. They are the same in ERROR frames, on `/user/queue/errors` and in problem+json. */
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
  /** The cause, for the log. Clients never see it. */
  readonly cause?: unknown;
  /** The field of the request or payload that is wrong. */
  readonly field?: string;
  /** Seconds until the same request would pass. */
  readonly retryAfter?: number;
  readonly roomId?: number;
  readonly clientMessageId?: string | number | null;
  /** The versions of STOMP that this server speaks, where a client speaks none of them. */
  readonly versions?: string;
  /** No retry helps before the people who run the service have mended it. */
  readonly toBeMended?: true;
}

/**
 * The one error of the deployed code. It is thrown where the cause is known. It is translated once: to an
 * ERROR frame, to an HTTP status at the trigger, or to a retry of the batch.
 */
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

/** The same error with the room and the client's own message id attached, so that the client can match it. */
export function about(error: ChatError, details: ErrorDetails): ChatError {
  return new ChatError(error.code, error.message, { ...details, ...error.details });
}

/**
 * Any thrown value as a `ChatError`. An unforeseen failure becomes `UNAVAILABLE`, and keeps its cause for the
 * log.
 */
export function toChatError(thrown: unknown): ChatError {
  if (thrown instanceof ChatError) return thrown;
  return new ChatError("UNAVAILABLE", "The service can't do this right now; try again.", { cause: thrown });
}

/**
 * An error that lasts until the people who run the service have mended it. It is `UNAVAILABLE`, because
 * nothing is wrong with the request, and because events that clients were told are stored wait for the
 * repair. It asks nobody to try again.
 */
export const toBeMended = (cause: unknown): ChatError =>
  new ChatError("UNAVAILABLE", "The service can't do this before whoever runs it has mended it.", {
    cause,
    toBeMended: true,
  });

/** Whether only the people who run the service can mend a failure. */
export const isToBeMended = (error: unknown): boolean =>
  error instanceof ChatError && error.details.toBeMended === true;

/** A refusal of another server that lasts until somebody mends it: a table, a hub or a right is missing. */
export interface Fault {
  /** The server's text, without any value of a user's. */
  readonly what: string;
  /** The beginning of the statement, where there is one. */
  readonly statement?: string;
  /** The same for faults that are alike, even if their texts differ in ids and times. */
  readonly kind: string;
  /** The fault lies with the caller, in its key or version. Other callers may succeed. */
  readonly isOwn?: boolean;
}

export type OnFault = (fault: Fault) => void;

/**
 * The JSON body of an ERROR frame and of a message on `/user/queue/errors`, without fields that are
 * undefined.
 */
export function errorBody(error: ChatError): string {
  const { retryAfter, roomId, clientMessageId } = error.details;
  return JSON.stringify({
    type: "ERROR",
    code: error.code,
    message: error.message,
    retryAfter,
    roomId,
    clientMessageId: clientMessageId ?? undefined,
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

/**
 * The error as an `application/problem+json` answer (RFC 9457). `code`, `field` (the part of the request that
 * is wrong) and `retryAfter` are extension members.
 */
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
      field,
      retryAfter,
    }),
  };
}
