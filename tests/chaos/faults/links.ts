import { setTimeout as sleep } from "node:timers/promises";
import { between, pick, type Random } from "../random.js";
import type { Link } from "../stack/link.js";
import { isLink, LINKS, type LinkName } from "../stack/names.js";
import type { Fault, Kind, Machine } from "./kind.js";

const anyLink = (random: Random): LinkName => pick(random, LINKS);

export function linkOf({ stack }: Machine, { target }: Fault): Link {
  if (!isLink(target)) throw new Error(`there is no link ${target}`);
  return stack.links[target];
}

/** Bytes of a link come late, or few of them at a time; `amount` is the latency in milliseconds. */
export const slow: Kind = {
  name: "slow",
  draw: (random) => ({
    target: anyLink(random),
    ms: between(random, 3_000, 12_000),
    amount: pick(random, [20, 100, 400, 1_000]),
  }),
  async start(machine, fault) {
    const link = linkOf(machine, fault);
    link.slow({ latencyMs: fault.amount, bytesPerSecond: 64_000_000 / fault.amount });
    return () => link.heal();
  },
};

/** All connections of a link are reset, `amount` times. */
export const cut: Kind = {
  name: "cut",
  draw: (random) => ({
    target: anyLink(random),
    ms: between(random, 100, 2_000),
    amount: between(random, 1, 4),
  }),
  async start(machine, fault) {
    const link = linkOf(machine, fault);
    for (let time = 1; time <= fault.amount; time += 1) {
      link.cut();
      if (time < fault.amount) await sleep(fault.ms / fault.amount);
    }
    return async () => {};
  },
};

/** All connections of a link are reset, and new ones are refused. */
export const refuse: Kind = {
  name: "refuse",
  draw: (random) => ({ target: anyLink(random), ms: between(random, 500, 8_000), amount: 0 }),
  async start(machine, fault) {
    const link = linkOf(machine, fault);
    await link.refuse();
    return () => link.heal();
  },
};

/** Connections of a link are there, and nothing comes through. */
export const hang: Kind = {
  name: "hang",
  draw: (random) => ({ target: anyLink(random), ms: between(random, 1_000, 15_000), amount: 0 }),
  async start(machine, fault) {
    const link = linkOf(machine, fault);
    link.hang();
    return () => link.heal();
  },
};
