import type { Fault } from "../faults/kind.js";
import type { Scenario } from "./table.js";

interface Show {
  readonly seconds: number;
  readonly faults: readonly Fault[];
}

const kill = (target: string, at: number, ms: number): Fault => ({ kind: "kill", target, at, ms, amount: 0 });
const cut = (at: number): Fault => ({ kind: "clients cut", target: "clients", at, ms: 100, amount: 0 });

/** What is done in each scenario, and how long clients act. */
export const SHOWS: Readonly<Record<Scenario, Show>> = {
  calm: { seconds: 20, faults: [] },
  "clients cut": { seconds: 24, faults: [3, 6, 9, 12, 15, 18, 21].map((at) => cut(at * 1_000)) },
  "bus killed": { seconds: 24, faults: [4, 10, 16].map((at) => kill("bus", at * 1_000, 2_000)) },
  "functions host killed": {
    seconds: 30,
    faults: [4, 11, 18, 25].map((at, index) => kill(`host${1 + (index % 2)}`, at * 1_000, 3_000)),
  },
};
