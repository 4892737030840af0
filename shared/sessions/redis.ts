import { setTimeout as pause } from "node:timers/promises";
import { Redis } from "ioredis";
import { atMostEvery, log } from "../log.js";
import { DROP_MEMBERS, IS_MEMBER, PUT_MEMBERS } from "./membersScripts.js";
import type { SessionStore } from "./sessionStore.js";

/** A chat command may wait this long for Redis and then goes on without it. */
const COMMAND_MS = 150;
const MEMBERS_SECONDS = 300;
/** Longer than any fill can take, so that a fill from before a drop never finds its version again. */
const VERSION_SECONDS = 3_600;

interface Scripts {
  chatIsMember(members: string, userId: number): Promise<number>;
  chatPutMembers(members: string, version: string, ...values: (string | number)[]): Promise<number>;
  chatDropMembers(members: string, version: string, seconds: number): Promise<number>;
}

const membersKey = (roomId: number): string => `{room:${roomId}}:members`;
const readTurnKey = (roomId: number): string => `{room:${roomId}}:reads`;
const versionKey = (roomId: number): string => `{room:${roomId}}:version`;

/** Redis behind the port. Commands fail at once while it is away, and after 150 ms when it is slow; failures are logged once a minute with their count. */
export function connectRedis(url: string): SessionStore {
  const redis = new Redis(url, {
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: COMMAND_MS,
    connectTimeout: 2_000,
    retryStrategy: (attempt) => Math.min(100 * 2 ** attempt, 2_000),
  });
  redis.defineCommand("chatIsMember", { numberOfKeys: 1, lua: IS_MEMBER });
  redis.defineCommand("chatPutMembers", { numberOfKeys: 2, lua: PUT_MEMBERS });
  redis.defineCommand("chatDropMembers", { numberOfKeys: 2, lua: DROP_MEMBERS });
  const scripts = redis as unknown as Scripts;
  const limited = atMostEvery(60_000);
  const report = (error: unknown): void =>
    limited((left) => log.warn("Redis can't be used; memberships are read from MySQL", { error, left }));
  redis.on("error", report);
  const opened = redis.connect().catch(report);
  /** The first connection, from whose first moment on it is used; a server that says nothing is waited for no longer than for a command. */
  const ready = async (): Promise<void> => {
    if (redis.status === "connecting" || redis.status === "connect")
      await Promise.race([opened, pause(COMMAND_MS)]);
  };

  const attempt = async <T>(call: () => Promise<T>): Promise<T | undefined> => {
    try {
      await ready();
      return await call();
    } catch (error) {
      report(error);
      return undefined;
    }
  };

  return {
    async isMember(roomId, userId) {
      const answer = await attempt(() => scripts.chatIsMember(membersKey(roomId), userId));
      return answer === 1 ? true : answer === 0 ? false : undefined;
    },
    membersVersion: (roomId) => attempt(async () => (await redis.get(versionKey(roomId))) ?? "0"),
    async putMembers(roomId, userIds, version) {
      if (version === undefined || userIds.length === 0) return;
      await attempt(() =>
        scripts.chatPutMembers(membersKey(roomId), versionKey(roomId), version, MEMBERS_SECONDS, ...userIds),
      );
    },
    async dropMembers(roomId) {
      await attempt(() => scripts.chatDropMembers(membersKey(roomId), versionKey(roomId), VERSION_SECONDS));
    },
    takeReadTurn: (roomId, withinMs) =>
      attempt(async () => (await redis.set(readTurnKey(roomId), "1", "PX", withinMs, "NX")) === "OK"),
    async ping() {
      await ready();
      await redis.ping();
    },
    async close() {
      redis.disconnect();
    },
  };
}
