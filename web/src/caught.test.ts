import { ChatError } from "@nonstop/chat-client";
import { afterEach, expect, test, vi } from "vitest";
import { caught } from "./caught.js";

const reported: unknown[] = [];
// Browsers have `reportError`, Node does not.
vi.stubGlobal("reportError", (thrown: unknown) => reported.push(thrown));
afterEach(() => {
  reported.length = 0;
});

test("an error of the client is handed on", () => {
  const error = new ChatError("OFFLINE", "there is no connection");
  expect(caught(error)).toBe(error);
  expect(reported).toEqual([]);
});

test.each([
  new TypeError("x is not a function"),
  Object.assign(new Error("of another kind"), { code: "OFFLINE" }),
  "text",
  undefined,
])("a fault of the page is not hidden: %s", (thrown) => {
  expect(caught(thrown)).toBeUndefined();
  expect(reported).toEqual([thrown]);
});
