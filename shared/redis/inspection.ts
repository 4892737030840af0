import { setTimeout as pause } from "node:timers/promises";
import type { TokenCredential } from "@azure/identity";
import type { RedisConfig } from "../config.js";
import { LATE, within } from "../platform/async.js";
import { openClient, primariesOf } from "./clients.js";
import { logInByEntra } from "./entraLogin.js";
import { auditKey, fiveKeys, membersKey, sessionsKey, UNFINISHED_KEY } from "./keys.js";

/** A connection that has a slot among its user's sessions, or that lost it and is not known to be closed. */
export interface NotedConnection {
  readonly userId: number;
  readonly connectionId: string;
  readonly state: "live" | "closing";
}

/**
 * What is in Redis, as it is, for the audit. Unlike the ports it throws where Redis can't be asked: what could
 * not be looked at must not pass for right.
 */
export interface RedisInspection {
  /** All sessions, and evicted connections whose claim ran out `overdueMs` ago or earlier; some at a time. */
  listConnections(overdueMs: number): AsyncIterable<readonly NotedConnection[]>;
  /** Which of these are still noted so. */
  findNoted(connections: readonly NotedConnection[], overdueMs: number): Promise<readonly NotedConnection[]>;
  /** The cached members of those of these rooms that are cached. */
  cachedMembers(roomIds: readonly number[]): Promise<ReadonlyMap<number, ReadonlySet<number>>>;
  /** Up to `most` users whom the sweep should have looked after `overdueMs` ago or earlier. */
  listOverdueUsers(overdueMs: number, most: number): Promise<readonly number[]>;
  /** Where an audit of this area is to go on. */
  readProgress(area: string): Promise<string | undefined>;
  /** Notes it for a month, or that the next audit begins at the beginning. */
  writeProgress(area: string, next: string | undefined): Promise<void>;
  close(): void;
}

const PROGRESS_SECONDS = 30 * 86_400;
const CONNECT_MS = 10_000;
const KEYS_AT_ONCE = 1_000;
/** No command here takes a server longer. */
const ANSWER_MS = 15_000;

/** Connects. Throws when Redis does not answer within 10 s. */
export async function inspectRedis(
  config: RedisConfig,
  credential?: TokenCredential,
): Promise<RedisInspection> {
  const client = openClient(config);
  let why: unknown;
  const note = (error: unknown): void => {
    why = error;
  };
  client.on("error", note);
  const login = credential && logInByEntra(client, credential, note);
  const close = (): void => {
    login?.close();
    client.disconnect();
  };
  const connected = (async () => {
    await login?.first;
    await client.connect();
    while (client.status !== "ready") await pause(20);
  })();
  try {
    await answered(connected, CONNECT_MS);
  } catch (error) {
    close();
    throw new Error("Redis can't be asked: see REDIS_URL, and whether it runs.", { cause: why ?? error });
  }
  return { ...inspectionOf(client), close };
}

async function answered<T>(call: Promise<T>, ms = ANSWER_MS): Promise<T> {
  const answer = await within(ms, call);
  if (answer === LATE) throw new Error(`Redis did not answer within ${ms / 1_000} s.`);
  return answer;
}

type Client = ReturnType<typeof openClient>;
type Node = ReturnType<typeof primariesOf>[number];

/** Keys of users' sessions, and of evicted connections (`keys.ts`). */
const OF_USER = /^\{user:(\d+)\}:(sessions|closing)$/;
const PATTERN = "{user:*}:*s*";

const closingKey = (userId: number): string => fiveKeys(userId)[1];

function inspectionOf(client: Client): Omit<RedisInspection, "close"> {
  return {
    async *listConnections(overdueMs) {
      for (const node of primariesOf(client)) yield* connectionsOn(node, overdueMs);
    },
    async findNoted(connections, overdueMs) {
      const until = (await nowOf(client)) - overdueMs;
      const noted = await eachOf(connections, (one) => isNoted(client, one, until));
      return connections.filter((_, index) => noted[index]);
    },
    async cachedMembers(roomIds) {
      const sets = await eachOf(roomIds, (roomId) => client.smembers(membersKey(roomId)));
      const entries = roomIds.map((roomId, index) => [roomId, new Set(sets[index]?.map(Number))] as const);
      return new Map(entries.filter(([, members]) => members.size > 0));
    },
    async listOverdueUsers(overdueMs, most) {
      const until = (await nowOf(client)) - overdueMs;
      const users = await answered(client.zrangebyscore(UNFINISHED_KEY, "-inf", until, "LIMIT", 0, most));
      return users.map(Number);
    },
    readProgress: async (area) => (await answered(client.get(auditKey(area)))) ?? undefined,
    async writeProgress(area, next) {
      const key = auditKey(area);
      if (next === undefined) await answered(client.del(key));
      else await answered(client.set(key, next, "EX", PROGRESS_SECONDS));
    },
  };
}

async function* connectionsOn(node: Node, overdueMs: number): AsyncIterable<readonly NotedConnection[]> {
  let cursor = "0";
  do {
    const [next, keys] = await answered(node.scan(cursor, "MATCH", PATTERN, "COUNT", KEYS_AT_ONCE));
    cursor = next;
    const until = (await timeOf(node)) - overdueMs;
    // A key may come more than once.
    const found = await eachOf([...new Set(keys)], (key) => connectionsAt(node, key, until));
    yield found.flat();
  } while (cursor !== "0");
}

async function connectionsAt(node: Node, key: string, until: number): Promise<readonly NotedConnection[]> {
  const [, user, kind] = OF_USER.exec(key) ?? [];
  if (user === undefined) return [];
  const userId = Number(user);
  if (kind === "sessions")
    return (await node.hkeys(key)).map((connectionId) => ({ userId, connectionId, state: "live" }));
  const overdue = await node.zrangebyscore(key, "-inf", until);
  return overdue.map((connectionId) => ({ userId, connectionId, state: "closing" }));
}

async function isNoted(
  client: Client,
  { userId, connectionId, state }: NotedConnection,
  until: number,
): Promise<boolean> {
  if (state === "live") return (await client.hexists(sessionsKey(userId), connectionId)) === 1;
  const claimedUntil = await client.zscore(closingKey(userId), connectionId);
  return claimedUntil !== null && Number(claimedUntil) <= until;
}

/** The answers to one call for each, sent together in parts. */
async function eachOf<T, Answer>(items: readonly T[], ask: (item: T) => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let first = 0; first < items.length; first += KEYS_AT_ONCE)
    answers.push(...(await answered(Promise.all(items.slice(first, first + KEYS_AT_ONCE).map(ask)))));
  return answers;
}

/** The store's own clock, in milliseconds since 1970, as the scripts have it. */
const nowOf = (client: Client): Promise<number> => timeOf(primariesOf(client)[0]!);

async function timeOf(node: Node): Promise<number> {
  const [seconds, microseconds] = await answered(node.time());
  return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
}
