import type { Bill, BillLine } from "./bill.js";
import type { Calls, Prices } from "./data.js";
import { shown } from "./formula.js";
import type { Plan } from "./plan.js";
import type { Step } from "./sheet.js";

/** Whole dollars, and cents of what costs less than ten. */
const dollars = (usd: number): string =>
  Number.isNaN(usd)
    ? "unknown"
    : `$${usd.toLocaleString("en-US", { maximumFractionDigits: usd < 10 ? 2 : 0 })}`;

/** The plan as people read it: what to buy, what it costs, then every formula with its numbers. */
export function asText(plan: Plan, calls: Calls, prices: Prices): string {
  return [
    ...summary(plan),
    "",
    ...billText(plan.bill),
    "",
    ...plan.warnings.map((warning) => `Note. ${warning}`),
    `Calls counted by \`npm run bench -- calls\` on ${calls.date.slice(0, 10)} at ${calls.commit}; prices of ` +
      `${prices.date}, ${prices.currency}, ${prices.region}.`,
    "",
    ...plan.sections.flatMap(({ title, steps }) => [title, ...steps.flatMap(stepText), ""]),
  ].join("\n");
}

const stepText = ({ name, what, formula, numbers, value, unit }: Step): readonly string[] => [
  `  ${name}: ${what}`,
  `    = ${formula}`,
  `    = ${numbers}`,
  `    = ${shown(value)}${unit && ` ${unit}`}`,
];

function summary(plan: Plan): readonly string[] {
  const rows = needs(plan);
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.map(([name, value]) => `${name.padEnd(width)}${value}`);
}

/** What is needed, as pairs of a name and a value. */
export function needs({ values, mysql, redis, input }: Plan): readonly (readonly [string, string])[] {
  const of = (name: string): string => shown(round(values[name]!));
  const pair = input.isHighlyAvailable ? ", two of it" : "";
  return [
    ["users, connected at most", `${of("users")}, ${of("online")}`],
    ["messages a second, mean and peak", `${of("messages")}, ${of("peakMessages")}`],
    ["reads a second, peak", of("peakReads")],
    ["calls of functions a second, peak", of("peakHttp")],
    ["REST calls a second, peak", of("peakRest")],
    ["messages to clients a second, peak", of("peakOut")],
    ["Web PubSub units", of("units")],
    ["  by connections, upstream, REST, out", list(all(values, UNITS_BY))],
    ["  minutes until all are connected again", of("minutesToReconnect")],
    ["Event Hubs throughput units", of("throughputUnits")],
    ["partitions: messages, reads", list(all(values, ["messagePartitions", "readPartitions"]))],
    [
      "instances at the peak: http, chatMessages, readEvents, sweep, heartBeat",
      `${list(all(values, ["httpNeeded", "messageNeeded", "readNeeded"]))}, 1, 1`,
    ],
    ["maximumInstanceCount", of("maximumInstances")],
    ["MySQL connections, at most", `${of("connections")} of ${of("connectionsNeeded")} or more`],
    ["MySQL", mysql ? `${mysql}${pair}` : "none is large enough"],
    ["  statements, writes a second, peak", list(all(values, ["statements", "iops"]))],
    ["  storage, growth a month", `${of("mysqlGb")} GB, ${of("growthGb")} GB`],
    ["Redis", redis ? `Balanced_${redis}${pair}` : "none is large enough"],
    ["  memory, calls a second at the peak", `${of("redisGb")} GB, ${of("redisCalls")}`],
    ["logs a day", `${of("logGbADay")} GB`],
  ];
}

const UNITS_BY = ["unitsByConnections", "unitsByUpstream", "unitsByRest", "unitsByOut"];
const all = (values: Plan["values"], names: readonly string[]): readonly number[] =>
  names.map((name) => values[name]!);
const list = (values: readonly number[]): string => values.map((value) => shown(round(value))).join(", ");

/** Two digits that count below 100, none after the point above. */
const round = (value: number): number =>
  Math.abs(value) >= 10 || value === 0 ? Math.round(value) : Number(value.toPrecision(2));

function billText({ lines, usd, low, high }: Bill): readonly string[] {
  const row = ({ service, what, usd: cost, isConfirmed, numbers }: BillLine): string =>
    `  ${service.padEnd(12)}${what.padEnd(32)}${dollars(cost).padStart(10)} ${isConfirmed ? " " : "?"}  ${numbers}`;
  return [
    "A month costs (? stands beside prices that nobody has confirmed)",
    ...lines.map(row),
    `  ${"all".padEnd(44)}${dollars(usd).padStart(10)}    ${dollars(low)} to ${dollars(high)}, by how far the prices are known`,
  ];
}

/** One row for each thing needed, one column for each plan, in Markdown. */
export function asTable(titles: readonly string[], plans: readonly Plan[]): string {
  const columns = plans.map((plan) => [...needs(plan), ...costs(plan)]);
  const rows = columns[0]!.map(([name], index) => [
    name.trim(),
    ...columns.map((column) => column[index]![1]),
  ]);
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const head = [line(["", ...titles]), line(["---", ...titles.map(() => "---")])];
  return [...head, ...rows.map(line)].join("\n");
}

/** What each service costs a month, marked where one of its prices is not confirmed. */
export function costs({ bill }: Plan): readonly (readonly [string, string])[] {
  const services = [...new Set(bill.lines.map(({ service }) => service))];
  const cost = (service: string): string => {
    const lines = bill.lines.filter((line) => line.service === service);
    const usd = lines.reduce((sum, line) => sum + (line.usd || 0), 0);
    const isConfirmed = lines.every((line) => line.isConfirmed);
    return `${dollars(usd)}${isConfirmed ? "" : " ?"}`;
  };
  return [
    ...services.map((service) => [`${service}, a month`, cost(service)] as const),
    ["all, a month", dollars(bill.usd)],
    ["from, to", `${dollars(bill.low)}, ${dollars(bill.high)}`],
  ];
}
