import { ChatError } from "@nonstop/chat-client";
import { expect, test } from "vitest";
import { errorText } from "./errorText.js";
import { en } from "./texts/en.js";
import { ko } from "./texts/ko.js";

const OTHER = ["That did not work. Try again in a moment.", "처리하지 못했어요. 잠시 후 다시 시도해 주세요."];

test.each([
  ["FORBIDDEN", "Only the creator of the group may do that.", "방장만 할 수 있어요."],
  [
    "OFFLINE",
    "There is no connection. Try again when it is back.",
    "연결이 끊겼어요. 다시 연결된 뒤 시도해 주세요.",
  ],
  ["A_CODE_OF_LATER", ...OTHER],
  // Every object has a property of this name.
  ["toString", ...OTHER],
])("%s is told in the user's language", (code, english, korean) => {
  const error = new ChatError(code, "in English, for developers");
  expect(errorText(error, en)).toBe(english);
  expect(errorText(error, ko)).toBe(korean);
});

test("what has no code is told as well", () => {
  expect(errorText(undefined, en)).toBe(OTHER[0]);
});
