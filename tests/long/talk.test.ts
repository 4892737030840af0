import { test } from "vitest";
import { talk } from "../support/talk.js";

test("two users send 1,000 messages each: both receive all of them once, in one order, equal to the history", async () => {
  await talk(1_000);
});
