import { describe, expect, test } from "vitest";
import { about, ChatError, type ErrorCode, errorBody, toChatError, toProblem } from "./errors.js";

describe("the body of an error", () => {
  test("has its code and message, and the fields by which a client matches it", () => {
    const error = new ChatError("RATE_LIMIT_EXCEEDED", "Too fast.", {
      retryAfter: 12,
      roomId: 3,
      clientMessageId: "a",
      cause: new Error("secret"),
      field: "content",
    });
    expect(errorBody(error)).toBe(
      '{"type":"ERROR","code":"RATE_LIMIT_EXCEEDED","message":"Too fast.",' +
        '"retryAfter":12,"roomId":3,"clientMessageId":"a"}',
    );
  });

  test("leaves out fields that are not known", () => {
    const error = new ChatError("NOT_A_MEMBER", "No.", { clientMessageId: null });
    expect(errorBody(error)).toBe('{"type":"ERROR","code":"NOT_A_MEMBER","message":"No."}');
  });

  test("keeps a zero", () => {
    const error = new ChatError("RATE_LIMIT_EXCEEDED", "Now.", { retryAfter: 0, clientMessageId: 0 });
    expect(JSON.parse(errorBody(error))).toMatchObject({ retryAfter: 0, clientMessageId: 0 });
  });
});

test.each<[ErrorCode, number]>([
  ["INVALID_REQUEST", 400],
  ["INVALID_MESSAGE", 400],
  ["MALFORMED_FRAME", 400],
  ["UNAUTHORIZED", 401],
  ["TOKEN_EXPIRED", 401],
  ["NOT_A_MEMBER", 403],
  ["ROOM_NOT_FOUND", 404],
  ["UNKNOWN_DESTINATION", 404],
  ["MESSAGE_TOO_LARGE", 413],
  ["RATE_LIMIT_EXCEEDED", 429],
  ["TOO_MANY_SUBSCRIPTIONS", 429],
  ["NOT_SUPPORTED", 501],
  ["UNAVAILABLE", 503],
])("%s is the status %i", (code, status) => {
  const problem = toProblem(new ChatError(code, "why", { field: "name", cause: "secret" }));
  expect(problem.status).toBe(status);
  expect(problem.headers["content-type"]).toBe("application/problem+json");
  expect(problem.headers["www-authenticate"]).toBe(status === 401 ? "Bearer" : undefined);
  expect(JSON.parse(problem.body)).toEqual({
    type: "about:blank",
    title: code,
    status,
    detail: "why",
    code,
    field: "name",
  });
});

test("a problem says when to come back", () => {
  const problem = toProblem(new ChatError("RATE_LIMIT_EXCEEDED", "why", { retryAfter: 7 }));
  expect(problem.headers["retry-after"]).toBe("7");
});

describe("a thrown value", () => {
  test.each([new Error("password is hunter2"), "text", undefined, null, { code: "ER_DUP_ENTRY" }])(
    "is UNAVAILABLE and shows nothing of itself: %o",
    (thrown) => {
      const error = toChatError(thrown);
      expect(error).toMatchObject({ code: "UNAVAILABLE", retryable: true });
      expect(error.cause).toBe(thrown);
      expect(errorBody(error) + toProblem(error).body).not.toMatch(/hunter2|ER_DUP/);
    },
  );

  test("stays itself when it is ours", () => {
    const error = new ChatError("NOT_A_MEMBER", "No.");
    expect(toChatError(error)).toBe(error);
    expect(error.retryable).toBe(false);
  });
});

test("an error about a message keeps what it knew already", () => {
  const cause = new Error("cause");
  const error = about(new ChatError("NOT_A_MEMBER", "No.", { roomId: 1, cause }), {
    roomId: 2,
    clientMessageId: "a",
  });
  expect(error).toMatchObject({ code: "NOT_A_MEMBER", message: "No.", cause });
  expect(error.details).toMatchObject({ roomId: 1, clientMessageId: "a" });
});
