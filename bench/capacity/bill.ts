import type { Prices } from "./data.js";
import { evaluate, type Values, withNumbers } from "./formula.js";
import { ENDPOINTS } from "./limits.js";
import type { Input } from "./options.js";

/** What one thing costs in a month. */
export interface BillLine {
  readonly service: string;
  readonly what: string;
  readonly formula: string;
  readonly numbers: string;
  /** In US dollars; the price may be off by so much that it lies between the others. `NaN` without a price. */
  readonly usd: number;
  readonly low: number;
  readonly high: number;
  readonly isConfirmed: boolean;
}

export interface Bill {
  readonly lines: readonly BillLine[];
  readonly usd: number;
  readonly low: number;
  readonly high: number;
}

/** What is bought: how much of it, and the name of its price. */
interface Item {
  readonly service: string;
  readonly what: string;
  readonly amount: string;
  readonly price: string;
}

const item = (service: string, what: string, amount: string, price: string): Item => ({
  service,
  what,
  amount,
  price,
});

/** A month's bill. A size that there is none of is left out; the plan says so. */
export function billOf(
  values: Values,
  input: Input,
  mysql: string | undefined,
  redis: string | undefined,
  prices: Prices,
): Bill {
  const nodes = input.isHighlyAvailable ? 2 : 1;
  const known = { ...values, nodes, endpoints: input.isPrivate ? ENDPOINTS : 0 };
  const lines = itemsOf(mysql, redis).map((each) => lineOf(each, known, prices));
  const sum = (pick: (line: BillLine) => number): number =>
    lines.reduce((total, line) => total + (Number.isNaN(pick(line)) ? 0 : pick(line)), 0);
  return { lines, usd: sum(({ usd }) => usd), low: sum(({ low }) => low), high: sum(({ high }) => high) };
}

const itemsOf = (mysql: string | undefined, redis: string | undefined): readonly Item[] => [
  item("Web PubSub", "units", "units * daysAMonth", "webPubSub.unitDay"),
  item("Web PubSub", "messages beyond those included", "outBilled", "webPubSub.millionMessages"),
  item("Event Hubs", "throughput units", "throughputUnits * hoursAMonth", "eventHubs.unitHour"),
  item("Event Hubs", "events", "events", "eventHubs.millionEvents"),
  item("Event Hubs", "Capture", "captures * throughputUnits * hoursAMonth", "eventHubs.captureUnitHour"),
  item("Functions", "on demand", "onDemandGbSeconds", "functions.onDemandGbSecond"),
  item("Functions", "always ready", "readyGbSeconds", "functions.readyGbSecond"),
  item("Functions", "always ready, executing", "readyBusyGbSeconds", "functions.readyBusyGbSecond"),
  item("Functions", "executions", "executionsBilled", "functions.onDemandMillion"),
  ...(mysql ? [item("MySQL", mysql, "nodes * hoursAMonth", `mysql.${mysql}`)] : []),
  item("MySQL", "storage", "nodes * mysqlGb", "mysql.storageGb"),
  ...(redis ? [item("Redis", redis, "nodes * hoursAMonth", `redis.${redis}`)] : []),
  item("Storage", "checkpoints and leases", "blobWrites", "storage.tenThousandWrites"),
  item("Logs", "of the functions", "logGb", "logs.gb"),
  item("Logs", "of REST calls", "requestLogGb", "logs.gb"),
  item("Network", "private endpoints", "endpoints * hoursAMonth", "network.endpointHour"),
];

function lineOf({ service, what, amount, price }: Item, values: Values, { prices }: Prices): BillLine {
  const quantity = evaluate(amount, values);
  const { usd, low, high, confirmed } = prices[price] ?? {
    usd: Number.NaN,
    low: Number.NaN,
    high: Number.NaN,
    confirmed: false,
  };
  return {
    service,
    what,
    formula: `${amount} * ${price}`,
    numbers: `${withNumbers(amount, values)} * ${usd}`,
    usd: quantity * usd,
    low: quantity * low,
    high: quantity * high,
    isConfirmed: confirmed,
  };
}
