import { between, pick } from "../random.js";
import { clockOff as withClockOff } from "../stack/specs.js";
import { partOf } from "./kill.js";
import type { Kind } from "./kind.js";

/** A host, or the socket service, is started again with a clock that is minutes early or late. */
export const clockOff: Kind = {
  name: "clock off",
  draw: (random) => ({
    target: pick(random, ["host1", "host2", "sockets"]),
    ms: between(random, 4_000, 15_000),
    amount: pick(random, [-1, 1]) * between(random, 20_000, 240_000),
  }),
  async start(machine, fault) {
    const part = partOf(machine, fault);
    const { spec } = part;
    await part.down("SIGKILL");
    part.spec = withClockOff(spec, fault.amount);
    await part.up();
    return async () => {
      part.spec = spec;
      await part.down("SIGKILL");
      await part.up();
    };
  },
};
