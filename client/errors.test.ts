import { expect, test } from "vitest";
import { ChatError, isFinal, toChatError } from "./errors.js";
import { indexedDbOutbox } from "./indexedDbOutbox.js";

test("an error has what is known of it, and nothing else", () => {
  const cause = new Error("no network");
  const error = new ChatError("OFFLINE", "not reached", { retryAfter: 3, cause });
  expect(Object.keys(error).sort()).toEqual(["code", "name", "retryAfter"]);
  expect(error).toMatchObject({ code: "OFFLINE", message: "not reached", retryAfter: 3, cause });
});

test.each([
  ["SESSION_CLOSED", true],
  ["UNAUTHORIZED", true],
  ["TOKEN_EXPIRED", true],
  ["UNAVAILABLE", false],
  ["NOT_A_MEMBER", false],
])("%s is final: %s", (code, expected) => expect(isFinal(code)).toBe(expected));

test("an outbox in IndexedDB where there is none rejects its calls", async () => {
  const outbox = indexedDbOutbox();
  await expect(outbox.load(1)).rejects.toThrow("indexedDB");
});

test.each<[what: string, thrown: unknown, message: string]>([
  ["a TypeError", new TypeError("no such function"), "something unexpected happened: no such function"],
  ["a text", "no", "something unexpected happened: no"],
  ["nothing", undefined, "something unexpected happened: undefined"],
])("%s that was thrown is the cause of an error that is told", (_, thrown, message) => {
  const told: ChatError[] = [];
  const error = toChatError(thrown, (one) => told.push(one));
  expect(error).toMatchObject({ code: "UNEXPECTED", message });
  expect(error.cause).toBe(thrown);
  expect(told).toEqual([error]);
});

test("an error of the service is not told, and stays the same", () => {
  const told: ChatError[] = [];
  const error = new ChatError("UNAVAILABLE", "not now");
  expect(toChatError(error, (one) => told.push(one))).toBe(error);
  expect(told).toEqual([]);
});
