import { expect, test } from "vitest";
import { newUsers } from "../support/client.js";
import { UNLESS_LATE } from "../support/late.js";
import {
  closeAll,
  deliver,
  expectLimited,
  listeners,
  receiptsOf,
  refusalsOf,
  times,
} from "../support/limits.js";
import { unlessLimitsAreOpen } from "../support/openLimits.js";
import { UNSUBSCRIBES_A_MINUTE } from "../support/sharedLimit.js";

// A taste of `tests/long/rateLimits.test.ts`, by the one limit of the shared stack.
unlessLimitsAreOpen(undefined, 55_000);

test(
  "of a user's UNSUBSCRIBEs over two sessions as many pass as a minute may have",
  UNLESS_LATE,
  async () => {
    const [user, other] = newUsers(2) as [number, number];
    const sessions = await listeners(user, 2);
    const unsubscribe = (id: string): string => `UNSUBSCRIBE\nid:none\nreceipt:${id}\n\n\0`;
    const half = times(UNSUBSCRIBES_A_MINUTE / 2 + 5, (index) => unsubscribe(`u${index}`));
    await Promise.all(sessions.map((one) => deliver(one, half)));
    expect(receiptsOf(sessions)).toHaveLength(UNSUBSCRIBES_A_MINUTE);
    expect(refusalsOf(sessions)).toHaveLength(10);
    for (const refusal of refusalsOf(sessions))
      expectLimited(refusal, UNSUBSCRIBES_A_MINUTE, "unsubscriptions");
    const [neighbour] = await listeners(other, 1);
    await deliver(neighbour!, [unsubscribe("other")]);
    expect(neighbour!.receipts()).toContain("other");
    await closeAll([...sessions, neighbour!]);
  },
);
