import { test } from "vitest";
import { checkOneAfterTheOther, checkTogether } from "../support/model/check.js";

/** A taste of `tests/long/model.test.ts`. */
const BOUNDS = { mostRuns: 10, seconds: 4, leastRuns: 2 };

test("whatever users do one after the other, everybody sees what the model says", async () => {
  await checkOneAfterTheOther(BOUNDS);
});

test("whatever users do at the same time, what everybody sees fits together", async () => {
  await checkTogether(BOUNDS);
});
