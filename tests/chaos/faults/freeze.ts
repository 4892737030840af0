import { between } from "../random.js";
import { anyPart, partOf } from "./kill.js";
import type { Kind } from "./kind.js";

/** A part stands still (SIGSTOP) and goes on, now and then after its leases have ended. */
export const freeze: Kind = {
  name: "freeze",
  draw: (random) => ({
    target: anyPart(random),
    ms: random() < 0.3 ? between(random, 11_000, 15_000) : between(random, 500, 8_000),
    amount: 0,
  }),
  async start(machine, fault) {
    const part = partOf(machine, fault);
    part.signal("SIGSTOP");
    return async () => {
      part.signal("SIGCONT");
      await part.up();
    };
  },
};
