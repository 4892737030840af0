import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { projectRoot } from "../../local/settings.js";

const Counts = z.object({
  upstreamCalls: z.number(),
  restSends: z.number(),
  restCalls: z.number(),
  sqlStatements: z.number(),
  transactions: z.number(),
  redisCalls: z.number(),
  httpCpuMs: z.number(),
  eventsCpuMs: z.number(),
  mysqlCpuMs: z.number(),
});

const Calls = z.object({
  date: z.string(),
  commit: z.string().default("no commit"),
  bytes: z.object({
    content: z.number(),
    messageFrame: z.number(),
    messageEvent: z.number(),
    readEvent: z.number(),
    messageRow: z.number(),
    memberRow: z.number(),
    redisUser: z.number(),
    redisMember: z.number(),
  }),
  connection: Counts,
  subscription: Counts,
  shapes: z.array(
    z.object({ name: z.string(), messageRate: z.number(), each: Counts, eventsABatch: z.number() }),
  ),
  storms: z.array(z.object({ members: z.number(), packed: z.boolean(), sendsAMessage: z.number() })),
});

export type Calls = z.infer<typeof Calls>;

const Price = z.object({
  what: z.string(),
  usd: z.number().min(0),
  low: z.number().min(0),
  high: z.number().min(0),
  confirmed: z.boolean(),
  source: z.string().min(1),
});

export type Price = z.infer<typeof Price>;

const Prices = z.object({
  currency: z.string(),
  region: z.string(),
  date: z.iso.date(),
  hoursAMonth: z.number(),
  daysAMonth: z.number(),
  prices: z.record(z.string(), Price),
});

export type Prices = z.infer<typeof Prices>;

const json = (path: string): unknown => JSON.parse(readFileSync(join(projectRoot, path), "utf8"));

/** What `bench/calls.ts` has counted. */
export const readCalls = (): Calls => Calls.parse(json("bench/results/calls.json"));

export const readPrices = (): Prices => Prices.parse(json("bench/capacity/prices.json"));
