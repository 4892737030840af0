import { readFileSync } from "node:fs";
import { EventHubProducerClient } from "@azure/event-hubs";
import { Admin } from "@platformatic/kafka";
import { Redis } from "ioredis";
import { createConnection, type RowDataPacket } from "mysql2/promise";

/** What the servers have done so far. The difference of two observations belongs to the run between them. */
export interface Counters {
  readonly upstreamCalls: number;
  readonly restSends: number;
  readonly restCalls: number;
  /** Of calls and answers, headers included. */
  readonly upstreamBytes: number;
  readonly restBytes: number;
  /** Events on the message hub. Each is one send. */
  readonly busSends: number;
  readonly sqlStatements: number;
  readonly redisCalls: number;
  /** Milliseconds of CPU, by process. */
  readonly cpu: Readonly<Record<string, number>>;
}

interface Stack {
  readonly webPubSub: string;
  readonly bus: "eventhubs" | "kafka";
  readonly eventHubs?: string;
  readonly kafka?: string;
  readonly mysql: string;
  readonly redis: string;
  readonly pids: Readonly<Record<string, number>>;
}

/**
 * Reads the servers' own counters. Those of the socket service exist only for the local one, else they are
 * NaN.
 */
export async function observe(stack: Stack): Promise<Counters> {
  const [local, busSends, sqlStatements, redisCalls] = await Promise.all([
    socketCounters(stack.webPubSub),
    events(stack),
    statements(stack.mysql),
    commands(stack.redis),
  ]);
  const { stack: _, ...servers } = stack.pids;
  const cpu = Object.entries(servers).map(([name, pid]) => [name, cpuMs(pid)] as const);
  return {
    ...local,
    busSends,
    sqlStatements,
    redisCalls,
    cpu: Object.fromEntries([...cpu, ["bench", ownCpuMs(process.pid)]]),
  };
}

/** What happened between two observations, divided by the number of messages. */
export function perMessage(before: Counters, after: Counters, messages: number): Counters {
  const each = (pick: (one: Counters) => number): number => (pick(after) - pick(before)) / messages;
  return {
    upstreamCalls: each((one) => one.upstreamCalls),
    restSends: each((one) => one.restSends),
    restCalls: each((one) => one.restCalls),
    upstreamBytes: each((one) => one.upstreamBytes),
    restBytes: each((one) => one.restBytes),
    busSends: each((one) => one.busSends),
    sqlStatements: each((one) => one.sqlStatements),
    redisCalls: each((one) => one.redisCalls),
    cpu: Object.fromEntries(Object.keys(after.cpu).map((name) => [name, each((one) => one.cpu[name] ?? 0)])),
  };
}

/** Of a socket service that doesn't count. */
const UNKNOWN = {
  upstreamCalls: Number.NaN,
  restSends: Number.NaN,
  restCalls: Number.NaN,
  upstreamBytes: Number.NaN,
  restBytes: Number.NaN,
};

async function socketCounters(webPubSub: string): Promise<Pick<Counters, keyof typeof UNKNOWN>> {
  const response = await fetch(`${new URL(webPubSub).origin.replace(/^ws/, "http")}/stats`);
  if (!response.ok) return UNKNOWN;
  return (await response.json()) as Counters;
}

/** The number of events that the message hub has taken so far. */
async function events({ bus, eventHubs = "", kafka = "" }: Stack): Promise<number> {
  return bus === "kafka" ? recordsOfKafka(kafka) : eventsOfHub(eventHubs, "chat-messages");
}

async function recordsOfKafka(brokers: string): Promise<number> {
  const admin = new Admin({ clientId: "bench", bootstrapBrokers: brokers.split(",") });
  const { topics } = await admin.metadata({ topics: ["chat-messages"] });
  const partitions = Array.from(
    { length: topics.get("chat-messages")!.partitionsCount },
    (_, partitionIndex) => ({
      partitionIndex,
      timestamp: -1n,
    }),
  );
  const [found] = await admin.listOffsets({ topics: [{ name: "chat-messages", partitions }] });
  await admin.close();
  return found!.partitions.reduce((sum, { offset }) => sum + Number(offset), 0);
}

/** The number of events that a hub has taken so far. */
export async function eventsOfHub(connectionString: string, name: string): Promise<number> {
  const hub = new EventHubProducerClient(connectionString, name);
  const ids = await hub.getPartitionIds();
  const partitions = await Promise.all(ids.map((id) => hub.getPartitionProperties(id)));
  await hub.close();
  return partitions.reduce((sum, { lastEnqueuedSequenceNumber }) => sum + lastEnqueuedSequenceNumber + 1, 0);
}

async function statements(url: string): Promise<number> {
  const connection = await createConnection(url);
  const [[row]] = await connection.query<RowDataPacket[]>("SHOW GLOBAL STATUS LIKE 'Questions'");
  await connection.end();
  return Number(row?.["Value"]);
}

/** Calls that clients made. Commands that a script runs inside Redis are not counted. */
async function commands(url: string): Promise<number> {
  const redis = new Redis(url);
  const info = await redis.info("commandstats");
  redis.disconnect();
  const calls = [...info.matchAll(/^cmdstat_(\w+)[^:]*:calls=(\d+)/gm)].map(
    ([, name, count]) => [name, Number(count)] as const,
  );
  const script = calls.filter(([name]) => name === "sismember" || name === "exists" || name === "sadd");
  const sum = (some: readonly (readonly [unknown, number])[]): number =>
    some.reduce((total, [, count]) => total + count, 0);
  return sum(calls) - sum(script);
}

/** A process and all that it started, and those that these started. Nothing more than itself where there is no /proc. */
export function treeOf(pid: number): readonly number[] {
  const children = procFile(`${pid}/task/${pid}/children`).split(" ").filter(Boolean);
  return [pid, ...children.flatMap((child) => treeOf(Number(child)))];
}

/**
 * User and system time of a process and the processes it started, in milliseconds; 0 where there is no /proc.
 */
export const cpuMs = (pid: number): number => treeOf(pid).reduce((sum, one) => sum + ownCpuMs(one), 0);

/** The memory that servers and the processes they started hold now (resident set), in MB. */
export function memoryMb(pids: Readonly<Record<string, number>>): number {
  const { stack: _, ...servers } = pids;
  const all = Object.values(servers).flatMap(treeOf);
  return all.reduce((sum, pid) => sum + ownMemoryKb(pid), 0) / 1_024;
}

const ownMemoryKb = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(procFile(`${pid}/status`))?.[1] ?? 0);

/** User and system time of the process alone. A tick is 10 ms. */
export function ownCpuMs(pid: number): number {
  const fields = procFile(`${pid}/stat`)
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 10;
}

function procFile(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, "utf8");
  } catch {
    return "";
  }
}
