import { describe, expect, test } from "vitest";
import { type Calls, type Prices, readCalls, readPrices } from "./data.js";
import { readOptions } from "./options.js";
import { planOf } from "./plan.js";
import { RULES } from "./rules.js";
import { asText } from "./text.js";

const counts = (more: object = {}) => ({
  upstreamCalls: 1,
  restSends: 1,
  restCalls: 1,
  sqlStatements: 16,
  transactions: 1,
  redisCalls: 3,
  httpCpuMs: 3,
  eventsCpuMs: 7,
  mysqlCpuMs: 3,
  ...more,
});

/** Round figures, so that what follows from them can be reckoned by hand. */
const CALLS: Calls = {
  date: "2026-11-26T00:00:00.000Z",
  commit: "0000000",
  bytes: {
    content: 80,
    messageFrame: 480,
    messageEvent: 380,
    readEvent: 100,
    messageRow: 366,
    memberRow: 150,
    redisUser: 2_000,
    redisMember: 10,
  },
  connection: counts({ upstreamCalls: 5, restCalls: 3, sqlStatements: 20, transactions: 2, redisCalls: 11 }),
  subscription: counts({ upstreamCalls: 1, restCalls: 3, sqlStatements: 8, transactions: 1, redisCalls: 4 }),
  shapes: [
    { name: "few messages", messageRate: 20, each: counts(), eventsABatch: 1 },
    {
      name: "most messages",
      messageRate: 900,
      each: counts({ sqlStatements: 1.6, eventsCpuMs: 1, mysqlCpuMs: 0.3 }),
      eventsABatch: 10,
    },
    { name: "few messages and reads", messageRate: 20, each: counts({ redisCalls: 5 }), eventsABatch: 1 },
  ],
  storms: [
    { members: 10, packed: false, sendsAMessage: 9 },
    { members: 10, packed: true, sendsAMessage: 2 },
  ],
};
const PRICES = readPrices();

const FEW = ["--users", "1000"];
const NONE_READY = ["--always-ready-http", "0", "--always-ready-messages", "0"];

const plan = (...args: string[]) => planOf(readOptions(args).input, CALLS, PRICES);
const values = (...args: string[]) => plan(...args).values;

describe("by hand", () => {
  // 86,400 users with 10 messages a day are 10 a second, 50 at the peak. Half of a room of 10 is connected.
  const args = [
    "--users",
    "86400",
    "--online",
    "43200",
    "--messages-per-user-day",
    "10",
    "--room-size",
    "10",
  ];
  const more = ["--connections-per-user-day", "1", "--subscriptions", "1", "--calls-per-connection", "2"];
  const got = values(...args, ...more, "--heart-beat-share", "0", "--read-share", "0.4");

  test("the load", () => {
    expect(got).toMatchObject({ messages: 10, peakMessages: 50, receivers: 5, readsAMessage: 2 });
    expect(got).toMatchObject({ reads: 20, peakReads: 100, connects: 1, peakConnects: 5 });
    // 50 messages, 100 reads, 5 handshakes of 5 calls; 2 HTTP calls for each handshake.
    expect(got).toMatchObject({ peakUpstream: 175, peakHttp: 185 });
    // A message and its two reads to one stock id, and packed to the others; 3 calls a handshake.
    expect(got["peakRest"]).toBe(50 * (1 * (1 + 2) + 1 + 2) + 5 * 3);
    // Each of 5 gets the message and its two reads, and 175 frames are answered.
    expect(got["peakOut"]).toBeCloseTo(50 * 5 * (1 + 2) + 175);
  });

  test("Web PubSub: 43,200 connections are 54 units of 800, bought by tens", () => {
    expect(got).toMatchObject({ unitsByConnections: 54, unitsByUpstream: 1, unitsByRest: 2, unitsByOut: 1 });
    expect(got["units"]).toBe(60);
  });

  test("Event Hubs: 150 events a second, 35,000 bytes", () => {
    expect(got).toMatchObject({ eventsIn: 150, bytesIn: 50 * (300 + 200) + 100 * 100, throughputUnits: 1 });
    expect(got).toMatchObject({ messagePartitions: 4, readPartitions: 4 });
  });

  test("functions: 185 calls of 3 ms are 555 ms of the 600 that an instance gives", () => {
    expect(got).toMatchObject({ httpNeeded: 1, messageNeeded: 1, maximumInstances: 4 });
    // http 4 and 1 always ready, chatMessages 4 partitions, readEvents 4, three timers: 16 with 16 each.
    expect(got).toMatchObject({ httpMost: 5, messageMost: 4, readMost: 4, instancesMost: 16 });
    expect(got).toMatchObject({ connections: 256, connectionsNeeded: 320 });
  });

  test("a batch costs 16 statements, whatever is in it", () => {
    // (16 - 1.6) / (1 - 0.1) = 16; nothing is left for each event.
    expect(got).toMatchObject({ batchSql: 16, eventSql: 0 });
    // 50 message batches, 16 read batches (4 partitions, 4 a second), 5 handshakes of 20.
    expect(got["statements"]).toBeCloseTo((50 + 16) * 16 + 5 * 20);
  });

  test("storage: 864,000 messages a day of 500 bytes and half as much again", () => {
    expect(got["growthGb"]).toBeCloseTo((864_000 * 30.4167 * 500 * 1.5) / 1e9, 3);
  });
});

describe("at the edges", () => {
  test.each([
    [800, 1],
    [801, 2],
    [8_000, 10],
    [8_001, 20],
  ])("%d connections need %d units", (online, units) => {
    const few = [
      "--messages-per-user-day",
      "0",
      "--connections-per-user-day",
      "0",
      "--heart-beat-share",
      "0",
    ];
    expect(values("--users", String(online), "--online", String(online), ...few)["units"]).toBe(units);
  });

  test("nobody writes: everything has its least size and no number is missing", () => {
    const {
      values: all,
      problems,
      mysql,
      redis,
    } = plan(...["--users", "1", "--messages-per-user-day", "0", "--connections-per-user-day", "0"]);
    expect(problems).toEqual([]);
    expect([mysql, redis]).toEqual(["B2s", "B0"]);
    expect(all).toMatchObject({ units: 1, throughputUnits: 1, httpNeeded: 1 });
    expect(Object.entries(all).filter(([, value]) => !Number.isFinite(value))).toEqual([]);
  });

  test("a server holds 80 % of its connections: 6 instances of 16 fit into B1ms, 9 don't", () => {
    const of = (instances: number) => plan(...FEW, "--maximum-instances", String(instances), ...NONE_READY);
    // http, as many for messages and for reads, three timers.
    expect([of(1).values["instancesMost"], of(1).mysql]).toEqual([6, "B1ms"]);
    expect([of(2).values["instancesMost"], of(2).mysql]).toEqual([9, "B2s"]);
  });

  test("a smaller pool lets a smaller server do", () => {
    expect(plan(...FEW, "--maximum-instances", "100").mysql).toBe("D8ads_v5");
    expect(plan(...FEW, "--maximum-instances", "100", "--pool-size", "4").mysql).toBe("B2ms");
  });

  test("high availability takes no burstable server, and costs two of it", () => {
    const highly = plan("--high-availability", "yes");
    expect(highly.mysql).toBe("D2ads_v5");
    const line = highly.bill.lines.find(({ what }) => what === "D2ads_v5");
    expect(line?.usd).toBeCloseTo(2 * 730 * PRICES.prices["mysql.D2ads_v5"]!.usd);
  });
});

describe("what can't be built says what to do", () => {
  test.each([
    [["--users", "2000000", "--online", "2000000"], /Web PubSub: .* Divide the users/],
    [
      ["--users", "1000000", "--messages-per-user-day", "10000"],
      /Event Hubs: .* throughput units .* tier Premium/,
    ],
    [["--users", "3000000", "--partitions", "1"], /chat-messages needs .* with --partitions/],
    [["--maximum-instances", "1000"], /MySQL: .* Say --pool-size 4 or less/],
    [
      ["--maximum-instances", "1000", "--partitions", "32"],
      /MySQL: .* Say (--pool-size [4-9] or less, )?fewer/,
    ],
    [["--users", "3000000", "--maximum-instances", "1"], /http needs .* with --maximum-instances/],
    [["--users", "100000000", "--rooms-per-user", "100"], /Redis: .* OSSCluster/],
  ])("%j", (args, problem) => {
    expect(plan(...args).problems.join("\n")).toMatch(problem);
  });

  test("the advice for MySQL is followed by a plan that fits", () => {
    expect(plan("--maximum-instances", "1000", "--pool-size", "4").problems).toEqual([]);
  });
});

describe("more never needs less", () => {
  const NEEDS = [
    "units",
    "throughputUnits",
    "messagePartitions",
    "readPartitions",
    "httpNeeded",
    "messageNeeded",
    "readNeeded",
    "connectionsNeeded",
    "statements",
    "iops",
    "mysqlGb",
    "redisGb",
  ];
  const STEPS: Readonly<Record<string, readonly number[]>> = {
    users: [2_000, 5_000, 20_000, 100_000, 300_000, 1_000_000, 5_000_000],
    online: [1, 100, 800, 801, 1_500, 2_000],
    "messages-per-user-day": [0, 1, 10, 50, 200, 1_000],
    "room-size": [1, 2, 10, 100, 1_000, 10_000],
    peak: [1, 2, 5, 20, 100],
    "read-share": [0, 0.1, 0.5, 1],
    "stock-ids": [0, 1, 2, 10, 256],
    subscriptions: [1, 5, 30, 100],
    "rooms-per-user": [1, 10, 100],
    "pool-size": [4, 8, 16, 200],
  };

  test.each(Object.keys(STEPS))("of %s", (name) => {
    const online = name === "users" || name === "online" ? [] : ["--online", "1000"];
    const fixed = name === "users" ? ["--online", "2000"] : name === "online" ? ["--users", "2000"] : online;
    const rows = STEPS[name]!.map((value) => values(`--${name}`, String(value), ...fixed));
    for (const need of NEEDS) {
      const each = rows.map((row) => row[need]!);
      expect([need, ...each]).toEqual([need, ...[...each].sort((a, b) => a - b)]);
    }
    expect(NEEDS.some((need) => rows.at(-1)![need]! > rows[0]![need]!)).toBe(true);
  });
});

describe("prices", () => {
  const without = (name: string): Prices => {
    const { [name]: _, ...prices } = PRICES.prices;
    return { ...PRICES, prices };
  };

  test("one that nobody confirmed is marked, one that somebody did is not", () => {
    const text = asText(plan(...FEW), CALLS, PRICES);
    expect(text).toMatch(/MySQL +B2s +\$64 \?/);
    expect(text).toMatch(/Redis +B0 +\$12 {4}/);
  });

  test("one that is missing is said to be unknown, and the rest is added up", () => {
    const { input } = readOptions(FEW);
    const whole = planOf(input, CALLS, PRICES).bill.usd;
    const less = planOf(input, CALLS, without("redis.B0"));
    expect(less.bill.usd).toBeCloseTo(whole - 730 * 0.016);
    expect(asText(less, CALLS, PRICES)).toMatch(/Redis +B0 +unknown \?/);
  });

  test("lie between their bounds, and each bill between its own", () => {
    for (const [name, { low, usd, high, confirmed }] of Object.entries(PRICES.prices)) {
      expect([name, low <= usd && usd <= high]).toEqual([name, true]);
      if (confirmed) expect([name, low, high]).toEqual([name, usd, usd]);
    }
    const { low, usd, high } = plan().bill;
    expect(low <= usd && usd <= high).toBe(true);
  });
});

test("every rule's name is new, and every number that was counted is used", () => {
  const rules = Object.values(RULES).flat();
  expect(new Set(rules.map(({ name }) => name)).size).toBe(rules.length);
  const used = new Set(rules.flatMap(({ formula }) => formula.match(/[A-Za-z]\w*/g) ?? []));
  const { values: all } = plan();
  const counted = ["messageRest", "httpCpuMs", "batchSql", "eventSql", "readRest", "redisUserBytes"];
  expect(counted.filter((name) => !(used.has(name) && name in all))).toEqual([]);
});

test.each([
  ["1000", "B1ms"],
  ["100000", "D2ads_v5"],
  ["1000000", "D8ads_v5"],
])("with the bench's own counts %s users have a plan without problems", (users) => {
  expect(planOf(readOptions(["--users", users]).input, readCalls(), PRICES).problems).toEqual([]);
});
