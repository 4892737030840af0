import { between, pick } from "../random.js";
import { type Kind, NotHere } from "./kind.js";

/** The disk of the bus or of MySQL has no room left for a while. */
export const diskFull: Kind = {
  name: "disk full",
  draw: (random) => ({
    target: pick(random, ["bus", "mysql"]),
    ms: between(random, 2_000, 10_000),
    amount: 0,
  }),
  async start({ stack }, { target }) {
    const disk = stack.disks.get(target);
    if (!disk) throw new NotHere("a small disk needs mount, and the rights of root");
    disk.fill();
    return async () => {
      disk.free();
      if (target === "bus") await stack.parts.bus.up();
      else await stack.parts.mysql.up();
    };
  },
};
