import { between, pick, type Random } from "../random.js";
import { isPart, PARTS, type PartName } from "../stack/names.js";
import type { Part } from "../stack/part.js";
import type { Fault, Kind, Machine } from "./kind.js";

/** The part that a fault strikes. */
export function partOf({ stack }: Machine, { target }: Fault): Part {
  if (!isPart(target)) throw new Error(`there is no part ${target}`);
  return stack.parts[target];
}

/** Hosts do the most, so they are struck the most. */
export function anyPart(random: Random): PartName {
  return pick(random, [...PARTS, "host1", "host2"]);
}

/** A part dies and is started again after a while. */
export const kill: Kind = {
  name: "kill",
  draw: (random) => ({ target: anyPart(random), ms: between(random, 200, 6_000), amount: 0 }),
  async start(machine, fault) {
    const part = partOf(machine, fault);
    await part.down("SIGKILL");
    return () => part.up();
  },
};
