import { test } from "vitest";
import { checkOneAfterTheOther, checkTogether } from "../support/model/check.js";

/** The whole stack against a model of it. */
const BOUNDS = { mostRuns: 30, seconds: 35, leastRuns: 5 };

test("whatever users do one after the other, everybody sees what the model says", async () => {
  await checkOneAfterTheOther(BOUNDS);
});

test("whatever users do at the same time, what everybody sees fits together", async () => {
  await checkTogether(BOUNDS);
});
