import { type Bill, billOf } from "./bill.js";
import type { Calls, Prices } from "./data.js";
import type { Values } from "./formula.js";
import { INSTANCES, KNOWN, MOST, MYSQL_SIZES, REDIS_SIZES } from "./limits.js";
import { measured } from "./measured.js";
import type { Input } from "./options.js";
import { RULES } from "./rules.js";
import { compute, type Step } from "./sheet.js";

/** What a deployment needs. */
export interface Plan {
  readonly input: Input;
  readonly sections: readonly { readonly title: string; readonly steps: readonly Step[] }[];
  readonly values: Values;
  readonly mysql: string | undefined;
  readonly redis: string | undefined;
  readonly bill: Bill;
  /** Why it can't be built as it is, each with what to do. */
  readonly problems: readonly string[];
  /** What somebody has to look after. */
  readonly warnings: readonly string[];
}

/** Reckons what the input needs. The same input and data give the same plan. */
export function planOf(input: Input, calls: Calls, prices: Prices): Plan {
  const given = { ...limits(), ...measured(calls), ...inputValues(input), ...time(prices) };
  let values: Values = given;
  const sections = Object.entries(RULES).map(([title, rules]) => {
    const sheet = compute(rules, values);
    values = sheet.values;
    return { title, steps: sheet.steps };
  });
  const mysql = mysqlFor(values, input);
  const redis = REDIS_SIZES.find(({ gb }) => gb >= values["redisGb"]!);
  return {
    input,
    sections,
    values,
    mysql: mysql?.name,
    redis: redis?.name,
    bill: billOf(values, input, mysql?.name, redis?.name, prices),
    problems: problemsOf(values, mysql !== undefined, redis !== undefined),
    warnings: warningsOf(values, mysql?.isBurstable ?? false),
  };
}

/** The options by the names that the formulae use. */
function inputValues({ numbers, memory, captures, logsRequests }: Input): Values {
  const camel = (name: string): string => name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
  const named = Object.fromEntries(Object.entries(numbers).map(([name, value]) => [camel(name), value]));
  const { "maximum-instances": maximum, "read-partitions": readPartitions, partitions } = numbers;
  return {
    ...named,
    maximumInstancesSaid: maximum,
    reckonMaximum: maximum === 0 ? 1 : 0,
    messagePartitionsSaid: partitions,
    reckonMessagePartitions: partitions === 0 ? 1 : 0,
    readPartitionsSaid: readPartitions,
    reckonReadPartitions: readPartitions === 0 ? 1 : 0,
    captures: captures ? 1 : 0,
    logsRequests: logsRequests ? 1 : 0,
    cores: INSTANCES[memory],
    gb: memory / 1_024,
  };
}

const limits = (): Values =>
  Object.fromEntries(Object.entries(KNOWN).map(([name, { value }]) => [name, value]));

const time = ({ hoursAMonth, daysAMonth }: Prices): Values => ({ hoursAMonth, daysAMonth });

function mysqlFor(values: Values, { isHighlyAvailable }: Input) {
  return MYSQL_SIZES.find(
    ({ connections, cores, iops, isBurstable }) =>
      connections >= values["connectionsNeeded"]! &&
      cores >= values["mysqlCores"]! &&
      iops >= values["iops"]! &&
      !(isBurstable && isHighlyAvailable),
  );
}

function problemsOf(values: Values, hasMysql: boolean, hasRedis: boolean): readonly string[] {
  const of = (name: string): number => values[name]!;
  const largest = MYSQL_SIZES.at(-1)!;
  const checks: readonly (readonly [holds: boolean, problem: string])[] = [
    [
      of("units") <= MOST.units,
      `Web PubSub: ${of("units")} units are needed and a resource has ${MOST.units} at most. ` +
        "Divide the users over several deployments.",
    ],
    [
      of("throughputUnits") <= MOST.throughputUnits,
      `Event Hubs: ${of("throughputUnits")} throughput units are needed and Standard has ` +
        `${MOST.throughputUnits} at most. Take the tier Premium, which this model does not reckon.`,
    ],
    [
      of("messagePartitions") >= of("messagePartitionsNeeded"),
      `Event Hubs: chat-messages needs ${of("messagePartitionsNeeded")} partitions and gets ` +
        `${of("messagePartitions")}. Say more with --partitions (${MOST.partitions} at most; Premium has 100).`,
    ],
    [
      of("readPartitions") >= of("readPartitionsNeeded"),
      `Event Hubs: chat-read-events needs ${of("readPartitionsNeeded")} partitions and gets ` +
        `${of("readPartitions")}. Say more with --read-partitions (${MOST.partitions} at most; Premium has 100).`,
    ],
    [
      of("messageMost") >= of("messageNeeded") && of("readMost") >= of("readNeeded"),
      `Functions: chatMessages needs ${of("messageNeeded")} instances and readEvents ${of("readNeeded")}, ` +
        "more than they may have. Say more --partitions, more --maximum-instances, or --memory 4096.",
    ],
    [
      of("httpMost") >= of("httpNeeded"),
      `Functions: http needs ${of("httpNeeded")} instances and may have ${of("httpMost")}. ` +
        "Say more with --maximum-instances.",
    ],
    [hasMysql, noMysql(values, largest)],
    [
      hasRedis,
      `Redis: ${of("redisGb").toFixed(1)} GB are needed and B20 has 24. Take a larger one with OSSCluster ` +
        "and REDIS_CLUSTER, which this model does not reckon.",
    ],
  ];
  return checks.flatMap(([holds, problem]) => (holds ? [] : [problem]));
}

function noMysql(values: Values, largest: (typeof MYSQL_SIZES)[number]): string {
  const of = (name: string): number => values[name]!;
  const needs =
    `${of("connectionsNeeded")} connections, ${of("mysqlCores").toFixed(1)} processors and ` +
    `${Math.ceil(of("iops"))} writes a second`;
  const fits = Math.floor((largest.connections * KNOWN.usedShare.value) / of("instancesMost"));
  // The app takes no smaller pool than 4.
  const pool = fits < 4 ? "" : `--pool-size ${fits} or less, `;
  const advice =
    of("connectionsNeeded") > largest.connections
      ? `Say ${pool}fewer --maximum-instances, or --memory 4096.`
      : "Divide the users over several deployments.";
  return `MySQL: ${needs} are needed and no size has them (${largest.name}: ${largest.connections}). ${advice}`;
}

function warningsOf(values: Values, isBurstable: boolean): readonly string[] {
  const of = (name: string): number => values[name]!;
  const warnings: readonly (readonly [says: boolean, warning: string])[] = [
    [
      of("coresMost") > MOST.flexCores,
      `Functions: ${of("coresMost")} cores may be used and a region's quota is ${MOST.flexCores}: ask for more.`,
    ],
    [
      of("maximumInstances") < 40,
      "Functions: where the platform takes no maximumInstanceCount below 40, say --maximum-instances 40 and " +
        "see what MySQL it needs.",
    ],
    [isBurstable, "MySQL: a burstable server has no standby, and is slow when its credits are used up."],
  ];
  return warnings.flatMap(([says, warning]) => (says ? [warning] : []));
}
