import { setTimeout as sleep } from "node:timers/promises";
import type { AccessToken, TokenCredential } from "@azure/identity";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { RedisConfig } from "../../shared/config.js";
import { type LoginTiming, logInByEntra } from "../../shared/redis/entraLogin.js";
import type { Script } from "../../shared/redis/lua.js";
import { openRedis, type RedisConnection } from "../../shared/redis/redisConnection.js";
import { startRedisCluster } from "../support/redisCluster.js";
import { letInTokensOf, startExpiringProxy } from "../support/redisEntra.js";
import { type RedisServer, startRedisServer } from "../support/redisServer.js";
import { credentialOf, OBJECT_ID, startTokenEndpoint, type TokenEndpoint } from "../support/tokenEndpoint.js";

const SCRIPTS: Readonly<Record<never, Script>> = {};
/** Tokens of some four seconds instead of hours. */
const FAST: LoginTiming = { marginMs: 2_500, jitterMs: 400, pauseMs: 100 };

let endpoint: TokenEndpoint;
let failures: unknown[];
let away: unknown[];

beforeEach(async () => {
  endpoint = await startTokenEndpoint(4_000);
  [failures, away] = [[], []];
});
afterEach(() => endpoint.close());

function open(
  config: RedisConfig,
  credential: TokenCredential = credentialOf(endpoint),
): RedisConnection<never> {
  const connection = openRedis(
    config,
    SCRIPTS,
    (error) => away.push(error),
    (client) => logInByEntra(client, credential, (error) => failures.push(error), FAST),
  );
  onTestFinished(() => connection.close());
  return connection;
}

const single = (port: number): RedisConfig => ({ urls: [`redis://127.0.0.1:${port}`], cluster: false });

/** A busy machine may make any call late, which says nothing of tokens. */
const isRefusal = (error: unknown): boolean => !/did not answer within/.test(String(error));

/** Asks without a pause for a time, and counts the answers. */
async function load(redis: RedisConnection<never>, milliseconds: number) {
  const count = { answered: 0 };
  const until = Date.now() + milliseconds;
  for (let index = 0; Date.now() < until; index += 1) {
    const key = `k${index % 100}`;
    const answer = await redis.run(key, async (commands) => (await commands.setFor(key, "v", 60_000)) ?? "");
    if (answer !== undefined) count.answered += 1;
    await sleep(2);
  }
  return count;
}

describe("one Redis that knows the identity alone", () => {
  let server: RedisServer;
  let users: Awaited<ReturnType<typeof letInTokensOf>>;

  beforeEach(async () => {
    server = await startRedisServer();
    users = await letInTokensOf(endpoint, [server.url]);
    return async () => {
      users.close();
      await server.close();
    };
  });

  test("is used from the first moment on", async () => {
    const redis = open(single(server.port));
    await expect.poll(() => redis.run("k", (commands) => commands.get("k"))).toBe(null);
    expect(failures).toEqual([]);
    const [asked] = endpoint.issued;
    expect(asked?.audience).toBe("https://redis.azure.com");
    expect(String(await users.admins[0]!.acl("WHOAMI"))).toBe("default");
    expect(String(await users.admins[0]!.client("LIST"))).toContain(`user=${OBJECT_ID}`);
  });

  test("gets each newer token on the open connection, so that none is ended under load", async () => {
    const proxy = await startExpiringProxy(endpoint, server.port);
    onTestFinished(() => proxy.close());
    const redis = open(single(proxy.port));
    await expect.poll(() => redis.run("k", (commands) => commands.get("k"))).toBe(null);
    away.length = 0;
    const { answered } = await load(redis, 10_000);
    expect({ ended: proxy.ended, failures, refused: away.filter(isRefusal) }).toEqual({
      ended: 0,
      failures: [],
      refused: [],
    });
    expect(answered).toBeGreaterThan(100);
    expect(proxy.logins).toHaveLength(1);
    expect(proxy.logins[0]).toEqual(endpoint.issued.map(({ token }) => token));
    expect(endpoint.issued.length).toBeGreaterThan(3);
  });

  test("gets the newest token on a connection that is opened later", async () => {
    const proxy = await startExpiringProxy(endpoint, server.port);
    onTestFinished(() => proxy.close());
    const redis = open(single(proxy.port));
    await expect.poll(() => endpoint.issued.length).toBeGreaterThan(1);
    await expect.poll(() => proxy.logins[0]?.length).toBeGreaterThan(1);
    const newest = endpoint.issued.at(-1)!.token;
    proxy.cut();
    await expect.poll(() => proxy.logins.length).toBe(2);
    await expect.poll(() => proxy.logins[1]?.[0]).toBeDefined();
    expect(endpoint.issued.slice(-2).map(({ token }) => token)).toContain(proxy.logins[1]![0]);
    expect(proxy.logins[1]![0]).not.toBe(endpoint.issued[0]!.token);
    expect(newest).toBeDefined();
    await expect.poll(() => redis.run("k", (commands) => commands.get("k"))).toBe(null);
  });

  test("while no token can be had the present one goes on, which is told and tried again", async () => {
    const redis = open(single(server.port));
    await expect.poll(() => redis.run("k", (commands) => commands.get("k"))).toBe(null);
    endpoint.isDown = true;
    await expect.poll(() => failures.length).toBeGreaterThan(1);
    expect(await redis.run("k", (commands) => commands.get("k"))).toBe(null);
    endpoint.isDown = false;
    const before = endpoint.issued.length;
    await expect.poll(() => endpoint.issued.length).toBeGreaterThan(before);
    expect(await redis.run("k", (commands) => commands.get("k"))).toBe(null);
  });

  test("is used as soon as a first token can be had, and holds nobody up before", async () => {
    endpoint.isDown = true;
    const redis = open(single(server.port));
    expect(await redis.run("k", (commands) => commands.get("k"))).toBe(undefined);
    await expect.poll(() => failures.length).toBeGreaterThan(0);
    endpoint.isDown = false;
    await expect.poll(() => redis.run("k", (commands) => commands.get("k"))).toBe(null);
  });

  test("a right that is given late is used soon, though the token is good for long", async () => {
    endpoint.lifetimeMs = 3_600_000;
    const admin = users.admins[0]!;
    await admin.acl("SETUSER", OBJECT_ID, "off");
    const redis = open(single(server.port));
    expect(await redis.run("k", (commands) => commands.get("k"))).toBe(undefined);
    await admin.acl("SETUSER", OBJECT_ID, "on");
    await expect.poll(() => redis.run("k", (commands) => commands.get("k"))).toBe(null);
  });

  test("a token that names nobody says what to do, and a user in the URL does without", async () => {
    const opaque: TokenCredential = {
      async getToken(): Promise<AccessToken> {
        await endpoint.onIssued({
          token: "opaque",
          audience: "https://redis.azure.com",
          expiresAt: Date.now() + 60_000,
        });
        return { token: "opaque", expiresOnTimestamp: Date.now() + 60_000 };
      },
    };
    open(single(server.port), opaque);
    await expect.poll(() => String(failures[0])).toMatch(/name the identity's object id in REDIS_URL/);
    const named = open({ urls: [`redis://${OBJECT_ID}@127.0.0.1:${server.port}`], cluster: false }, opaque);
    await expect.poll(() => named.run("k", (commands) => commands.get("k"))).toBe(null);
  });
});

test("every node of a cluster gets each newer token", async () => {
  const cluster = await startRedisCluster({ replicas: 0 });
  onTestFinished(() => cluster.close());
  const users = await letInTokensOf(endpoint, cluster.urls);
  onTestFinished(() => users.close());
  const redis = open({ urls: cluster.urls, cluster: true });
  await expect.poll(() => redis.run("k", (commands) => commands.get("k"))).toBe(null);
  const { answered } = await load(redis, 7_000);
  expect(answered).toBeGreaterThan(100);
  expect(failures).toEqual([]);
  expect(endpoint.issued.length).toBeGreaterThan(2);
  away.length = 0;
  // Connections that are opened now, to whichever node, begin with a token that still counts.
  for (const admin of users.admins) await admin.client("KILL", "USER", OBJECT_ID);
  await expect
    .poll(async () => {
      const keys = Array.from({ length: 30 }, (_, index) => `key${index}`);
      return (await Promise.all(keys.map((key) => redis.run(key, (commands) => commands.get(key))))).every(
        (answer) => answer === null,
      );
    })
    .toBe(true);
  for (const admin of users.admins) {
    const stats = /cmdstat_auth:calls=(\d+)/.exec(await admin.info("commandstats"))?.[1];
    expect(Number(stats)).toBeGreaterThan(2);
  }
});
