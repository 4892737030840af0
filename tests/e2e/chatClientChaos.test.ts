import { test } from "vitest";
import { weatherStorm } from "../support/storm.js";

// A taste of `tests/long/chatClientChaos.test.ts`.
test("through a short storm each member sees the history, at every moment", async () => {
  await weatherStorm({ messages: 20, connections: 2 });
});
