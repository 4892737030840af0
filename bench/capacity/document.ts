import { type Calls, type Prices, readCalls, readPrices } from "./data.js";
import { shown } from "./formula.js";
import { KNOWN } from "./limits.js";
import { measured } from "./measured.js";
import { readOptions } from "./options.js";
import { type Plan, planOf } from "./plan.js";
import { RULES } from "./rules.js";
import { asTable, costs } from "./text.js";

/** The deployments that the documents show. */
const SIZES = [
  { title: "small", options: "--users 1000 --online 200 --room-size 20 --request-logs no" },
  { title: "medium", options: "--users 100000 --online 10000 --room-size 20 --high-availability yes" },
  { title: "large", options: "--users 1000000 --online 80000 --room-size 20 --high-availability yes" },
] as const;

/** The parts of the documents that the command writes, by their names. */
export function parts(
  calls: Calls = readCalls(),
  prices: Prices = readPrices(),
): ReadonlyMap<string, string> {
  const plans = SIZES.map(({ options }) => planOf(readOptions(options.split(" ")).input, calls, prices));
  const titles = SIZES.map(({ title }) => title);
  return new Map([
    ["commands", commands()],
    ["sizes", asTable(titles, plans)],
    ["costs", costTable(titles, plans)],
    ["formulae", formulae()],
    ["counts", counts(calls)],
    ["limits", limits()],
    ["prices", priceTable(prices)],
  ]);
}

/** The text with each part that it has a place for: between `<!-- capacity: NAME -->` and `<!-- end -->`. */
export function filled(text: string, all = parts()): string {
  return text.replace(
    /(<!-- capacity: (\w+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, begin: string, name: string, end: string) => {
      const part = all.get(name);
      if (part === undefined) throw new Error(`there is no part ${name}`);
      return `${begin}\n${part}\n\n${end}`;
    },
  );
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");

const commands = (): string =>
  ["```sh", ...SIZES.map(({ title, options }) => `npm run capacity -- ${options}   # ${title}`), "```"].join(
    "\n",
  );

function costTable(titles: readonly string[], plans: readonly Plan[]): string {
  const columns = plans.map(costs);
  const rows = columns[0]!.map(([name], index) => [
    name.replace(", a month", ""),
    ...columns.map((column) => column[index]![1]),
  ]);
  return table(["", ...titles], rows);
}

const formulae = (): string =>
  Object.entries(RULES)
    .map(([title, rules]) => {
      const rows = rules.map(({ name, formula, unit, what }) => [
        `\`${name}\``,
        `\`${formula}\``,
        unit ? `${what} (${unit})` : what,
      ]);
      return `### ${title}\n\n${table(["name", "formula", "what it is"], rows)}`;
    })
    .join("\n\n");

function counts(calls: Calls): string {
  const rows = Object.entries(measured(calls)).map(([name, value]) => [`\`${name}\``, shown(value)]);
  const when = `Counted on ${calls.date.slice(0, 10)} at commit ${calls.commit} (\`bench/results/calls.json\`).`;
  return `${when}\n\n${table(["name", "value"], rows)}`;
}

const limits = (): string =>
  table(
    ["name", "value", "source"],
    Object.entries(KNOWN).map(([name, { value, source }]) => [`\`${name}\``, shown(value), source]),
  );

function priceTable({ date, currency, prices }: Prices): string {
  const rows = Object.values(prices).map(({ what, usd, low, high, confirmed, source }) => [
    what,
    `${usd}`,
    low === high ? "" : `${low} to ${high}`,
    confirmed ? "yes" : "no",
    source,
  ]);
  const head = ["price", currency, "lies between", "confirmed", "source"];
  return `Gathered on ${date}.\n\n${table(head, rows)}`;
}
