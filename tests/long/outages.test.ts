import { test } from "vitest";
import { loseNothing } from "../support/outage.js";
import { ownStack } from "../support/ownStack.js";

const stack = ownStack();

test.each(["functionsHost", "webPubSub", "eventHubs", "mysql", "redis", "storage"] as const)(
  "%s killed under load, twice: what had its RECEIPT is stored once, in each sender's order, without a gap",
  async (name) => {
    await loseNothing({
      addresses: stack.addresses,
      kill: () => stack.kill(name, "SIGKILL"),
      pid: () => stack.addresses.pids[name],
    });
  },
);
