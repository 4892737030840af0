import { parseArgs } from "node:util";
import { kindOf, names } from "./faults/kinds.js";
import { PLANTED } from "./planted/table.js";
import { BUSES, type BusName } from "./stack/names.js";

export const USAGE = `Breaks a whole stack of its own by a seeded plan while clients write and read, and then checks that nothing is
lost, repeated or out of order. Ends with 0 where all is well, with 1 where not, with 2 for options that can't be.

  npm run chaos -- [options]

  --seed N          the plan and the clients' acts (default: a new one, which is printed)
  --seeds A..B      one run after the other, all seeds from A to B
  --minutes M       how long faults and clients go on (default 2); start and end come on top
  --bus NAME        ${BUSES.join(" or ")} (default eventhubs)
  --only KIND,...   no other kinds of faults, of: ${names()}
  --plan            prints the plan and does nothing
  --minimize        after a failure runs again with fewer and fewer faults, and prints the fewest that still fail
  --table FILE      adds a line for each seed to a Markdown table; seeds that are in it already are left out
  --planted [NAME,...]  instead tests the checker: runs copies of the product with faults planted in it, all or
                    these, and the product itself, without a plan; goes with --seed (default 1), --bus and --keep
  --keep            keeps the folder of data, logs and histories also where all is well
  --help            this text`;

const MOST_MINUTES = 120;
const MOST_SEEDS = 10_000;
const LARGEST_SEED = 2 ** 31 - 1;

export interface Options {
  readonly seeds: readonly number[];
  readonly minutes: number;
  readonly bus: BusName;
  readonly only: readonly string[];
  readonly planOnly: boolean;
  readonly minimize: boolean;
  readonly table: string | undefined;
  readonly keep: boolean;
  /** The planted faults to be run instead of a plan. */
  readonly planted: readonly string[] | undefined;
  readonly help: boolean;
}

/** Throws an error that says which option can't be, and what it may be. */
export function readOptions(args: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      seed: { type: "string" },
      seeds: { type: "string" },
      minutes: { type: "string" },
      bus: { type: "string", default: "eventhubs" },
      only: { type: "string" },
      plan: { type: "boolean", default: false },
      minimize: { type: "boolean", default: false },
      table: { type: "string" },
      planted: { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.seed !== undefined && values.seeds !== undefined)
    throw new Error("--seed and --seeds: one of them is enough");
  const planted = values.planted ? plantedOf(positionals) : undefined;
  if (planted) requireAlone(values);
  else if (positionals.length > 0) throw new Error(`${positionals[0]}: there is no such option`);
  const one = planted ? (values.seed ?? "1") : values.seed;
  const seeds = values.seeds === undefined ? [seedOf(one)] : seedsOf(values.seeds);
  if (values.minimize && seeds.length > 1) throw new Error("--minimize takes one --seed");
  return {
    seeds,
    minutes: minutesOf(values.minutes ?? "2"),
    bus: busOf(values.bus),
    only: kindsOf(values.only),
    planOnly: values.plan,
    minimize: values.minimize,
    table: values.table,
    keep: values.keep,
    planted,
    help: values.help,
  };
}

function plantedOf(positionals: readonly string[]): string[] {
  const known = PLANTED.map(({ name }) => name);
  const names = positionals.flatMap((text) => text.split(",")).filter((name) => name !== "");
  const wrong = names.find((name) => !known.includes(name));
  if (wrong) throw new Error(`--planted ${wrong}: there is no such fault, but: ${known.join(", ")}`);
  return names.length > 0 ? names : known;
}

/** Throws where an option of plans stands beside `--planted`. */
function requireAlone(values: Readonly<Record<string, string | boolean | undefined>>): void {
  const other = ["seeds", "minutes", "only", "plan", "minimize", "table"].find((name) => values[name]);
  if (other) throw new Error(`--planted and --${other}: --planted goes with --seed, --bus and --keep`);
}

function seedOf(text = String(Math.floor(Math.random() * 1_000_000))): number {
  const seed = Number(text);
  if (!/^\d+$/.test(text) || seed > LARGEST_SEED)
    throw new Error(`--seed ${text}: must be a whole number up to ${LARGEST_SEED}`);
  return seed;
}

function seedsOf(text: string): number[] {
  const [, first, last] = /^(\d+)\.\.(\d+)$/.exec(text) ?? [];
  const count = Number(last) - Number(first) + 1;
  if (first === undefined || !(count >= 1 && count <= MOST_SEEDS))
    throw new Error(`--seeds ${text}: must be like 1..100, ${MOST_SEEDS} at most`);
  return Array.from({ length: count }, (_, index) => seedOf(String(Number(first) + index)));
}

function minutesOf(text: string): number {
  const minutes = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || minutes < 0.1 || minutes > MOST_MINUTES)
    throw new Error(`--minutes ${text}: must be a number from 0.1 to ${MOST_MINUTES}`);
  return minutes;
}

function busOf(text: string): BusName {
  const bus = BUSES.find((name) => name === text);
  if (!bus) throw new Error(`--bus ${text}: must be ${BUSES.join(" or ")}`);
  return bus;
}

function kindsOf(text: string | undefined): string[] {
  if (text === undefined) return [];
  return text.split(",").map((name) => {
    try {
      return kindOf(name.trim()).name;
    } catch (error) {
      throw new Error(`--only ${text}: ${(error as Error).message}`);
    }
  });
}
