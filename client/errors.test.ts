import { expect, it } from "vitest";
import { ChatError, isFinal } from "./errors.js";
import { indexedDbOutbox } from "./indexedDbOutbox.js";

it("an error has what is known of it, and nothing else", () => {
  const cause = new Error("no network");
  const error = new ChatError("OFFLINE", "not reached", { retryAfter: 3, cause });
  expect(Object.keys(error).sort()).toEqual(["code", "name", "retryAfter"]);
  expect(error).toMatchObject({ code: "OFFLINE", message: "not reached", retryAfter: 3, cause });
});

it.each([
  ["SESSION_CLOSED", true],
  ["UNAUTHORIZED", true],
  ["TOKEN_EXPIRED", true],
  ["UNAVAILABLE", false],
  ["NOT_A_MEMBER", false],
])("%s is final: %s", (code, expected) => expect(isFinal(code)).toBe(expected));

it("an outbox in IndexedDB where there is none rejects its calls", async () => {
  const outbox = indexedDbOutbox();
  await expect(outbox.load(1)).rejects.toThrow("indexedDB");
});
