import { between } from "../random.js";
import { PARTS } from "../stack/names.js";
import type { Kind } from "./kind.js";

/** All parts die at once and come back in any order. */
export const powerCut: Kind = {
  name: "power cut",
  isAlone: true,
  draw: (random) => ({ target: "all", ms: between(random, 500, 3_000), amount: 0 }),
  async start({ stack }) {
    const parts = PARTS.map((name) => stack.parts[name]);
    await Promise.all(parts.map((part) => part.down("SIGKILL")));
    return async () => {
      await Promise.all(parts.map((part) => part.up()));
    };
  },
};
