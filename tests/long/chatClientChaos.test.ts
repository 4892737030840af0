import { test } from "vitest";
import { weatherStorm } from "../support/storm.js";

test("through a storm of cuts, delays and repeats each member sees the history, at every moment", async () => {
  await weatherStorm({ messages: 60, connections: 4 });
});
