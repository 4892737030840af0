import calculateSlot from "cluster-key-slot";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openRedis, type RedisConnection } from "../../shared/sessions/redisConnection.js";
import { until } from "../support/client.js";
import { type RedisCluster, startRedisCluster } from "../support/redisCluster.js";
import { type RedisServer, startRedisServer } from "../support/redisServer.js";

const SCRIPTS = {
  addBoth: {
    keys: 2,
    lua: "return redis.call('INCRBY', KEYS[1], ARGV[1]) + redis.call('INCRBY', KEYS[2], ARGV[1])",
  },
  add: { keys: 1, lua: "return redis.call('INCRBY', KEYS[1], ARGV[1])" },
  fail: { keys: 1, lua: "return redis.error_reply('WRONG as asked')" },
  wait: {
    keys: 1,
    lua: "local last = redis.call('TIME')[1] + ARGV[1] while redis.call('TIME')[1] + 0 < last do end",
  },
};

/** Far more than Redis is waited for, and far less than waiting for somebody who never answers. */
const SOON_MS = 2_000;

let away: unknown[];
let redis: RedisConnection<keyof typeof SCRIPTS>;

const add = (key: string, value = 1): Promise<unknown> =>
  redis.run(key, (commands) => commands.script("add", [key], [value]));

/** How long something took. */
async function took(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

beforeEach(() => {
  away = [];
});

describe("one server", () => {
  let server: RedisServer;
  beforeEach(async () => {
    server = await startRedisServer();
    redis = openRedis({ urls: [server.url], cluster: false }, SCRIPTS, (error) => away.push(error));
  });
  afterEach(async () => {
    await redis.close();
    await server.close();
  });

  test("is used from the first call on, and its scripts run", async () => {
    expect(await Promise.all([add("k"), add("k", 2), add("k", 3)])).toEqual([1, 3, 6]);
    expect(await redis.run("t", (commands) => commands.set("t", "1", "PX", 60_000, "NX"))).toBe("OK");
    expect(await redis.run("t", (commands) => commands.set("t", "1", "PX", 60_000, "NX"))).toBeNull();
    expect(await redis.run("t", (commands) => commands.get("t"))).toBe("1");
    await redis.ping();
    expect(away).toEqual([]);
  });

  test.each(["SIGKILL", "SIGSTOP"] as const)(
    "after %s is done without, soon and without an error, and used again when it is back",
    async (signal) => {
      await add("k");
      server.kill(signal);
      const together = await took(async () => {
        for (let call = 0; call < 4; call += 1) expect(await add("k")).toBeUndefined();
      });
      expect(together).toBeLessThan(SOON_MS);
      expect(await took(() => expect(redis.ping()).rejects.toThrow())).toBeLessThan(SOON_MS);
      expect(away.length).toBeGreaterThanOrEqual(4);
      if (signal === "SIGKILL") await server.restart();
      else server.kill("SIGCONT");
      await until(async () => (await add("k")) !== undefined, "it is used again", 20_000);
      away = [];
      for (let call = 0; call < 10; call += 1) expect(await add("k")).toEqual(expect.any(Number));
      expect(away).toEqual([]);
    },
  );

  test("whose answers came while this process was busy has not left it without", async () => {
    await add("k");
    for (let call = 0; call < 3; call += 1) {
      const answer = add("k");
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);
      expect(await answer).toBe(call + 2);
    }
    expect(away).toEqual([]);
  });

  test("that lets its clients wait is done without, and used again when it goes on", async () => {
    const other = new Redis(server.url);
    await add("k");
    await other.client("PAUSE", 3_000, "ALL");
    const together = await took(async () => {
      for (let call = 0; call < 4; call += 1) expect(await add("k")).toBeUndefined();
    });
    expect(together).toBeLessThan(SOON_MS);
    await until(async () => (await add("k")) !== undefined, "it is used again", 20_000);
    other.disconnect();
  });

  test("that is stopped has lost its sockets soon after they are closed on our side", async () => {
    const sockets = (): number =>
      process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length;
    const before = sockets();
    const another = openRedis({ urls: [server.url], cluster: false }, SCRIPTS, (error) => away.push(error));
    expect(await another.run("k", (commands) => commands.get("k"))).toBeNull();
    expect(sockets()).toBeGreaterThan(before);
    server.kill("SIGSTOP");
    const call = another.run("k", (commands) => commands.get("k"));
    await another.close();
    expect(await call).toBeUndefined();
    expect(await another.run("k", (commands) => commands.get("k"))).toBeUndefined();
    await until(() => sockets() <= before, "no socket is left", 20_000);
    expect(away).toEqual([]);
  });

  test("that stays silent for long loses its connection, and is used again when it is back", async () => {
    await add("k");
    server.kill("SIGSTOP");
    const end = Date.now() + 8_000;
    while (Date.now() < end) {
      expect(await add("k")).toBeUndefined();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    server.kill("SIGCONT");
    await until(async () => (await add("k")) !== undefined, "it is used again", 20_000);
  });

  test("that is stopped while thousands ask at once leaves each without an answer, soon, and works afterwards", async () => {
    await add("k");
    server.kill("SIGSTOP");
    const all = await took(async () => {
      const answers = await Promise.all(Array.from({ length: 20_000 }, () => add("k")));
      expect(answers.every((answer) => answer === undefined)).toBe(true);
    });
    expect(all).toBeLessThan(10_000);
    expect(away).toHaveLength(20_000);
    expect(String(away.find((error) => /unanswered/.test(String(error))))).toContain("1000 calls unanswered");
    server.kill("SIGCONT");
    await until(async () => (await add("k")) !== undefined, "it is used again", 20_000);
  });

  test("that is slow is left alone for a while, then asked by one call at a time", async () => {
    await add("k");
    const other = new Redis(server.url);
    const busy = other.eval(SCRIPTS.wait.lua, 1, "k", 3);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await add("k")).toBeUndefined();
    expect(await took(async () => Promise.all(Array.from({ length: 500 }, () => add("k"))))).toBeLessThan(
      SOON_MS,
    );
    await busy;
    await until(async () => (await add("k")) !== undefined, "it is used again", 20_000);
    other.disconnect();
  });

  test("that is full refuses writes, goes on reading, and is not taken for away", async () => {
    const other = new Redis(server.url);
    await add("before");
    await other.config("SET", "maxmemory", "1");
    expect(await add("k")).toBeUndefined();
    expect(String(away[0])).toContain("OOM");
    for (let call = 0; call < 20; call += 1)
      expect(await redis.run("before", (commands) => commands.get("before"))).toBe("1");
    await other.config("SET", "maxmemory", "0");
    expect(await add("k")).toBe(1);
    other.disconnect();
  });

  test("that says no to one call is asked by the next", async () => {
    for (let call = 0; call < 5; call += 1) {
      expect(await redis.run("k", (commands) => commands.script("fail", ["k"], []))).toBeUndefined();
      expect(await add("k")).toBe(call + 1);
    }
    expect(away.map(String)).toEqual(Array(5).fill(expect.stringContaining("WRONG as asked")));
  });

  test("that has forgotten the scripts is given them again", async () => {
    const other = new Redis(server.url);
    await add("k");
    await other.script("FLUSH");
    expect(await add("k")).toBe(2);
    other.disconnect();
  });

  test("that becomes a replica is away until its address leads to a primary again", async () => {
    const other = new Redis(server.url);
    await add("k");
    await other.replicaof("127.0.0.1", 1);
    expect(await add("k")).toBeUndefined();
    await other.replicaof("NO", "ONE");
    await until(async () => (await add("k")) !== undefined, "it is used again", 20_000);
    other.disconnect();
  });
});

test("a server that comes only later is used then", async () => {
  const server = await startRedisServer();
  server.kill("SIGKILL");
  redis = openRedis({ urls: [server.url], cluster: false }, SCRIPTS, (error) => away.push(error));
  expect(await add("k")).toBeUndefined();
  await server.restart();
  await until(async () => (await add("k")) !== undefined, "it is used", 20_000);
  await redis.close();
  await server.close();
});

test("a server that is loading its data is done without until they are there", async () => {
  // Slow, and answering meanwhile.
  const server = await startRedisServer({
    "key-load-delay": "2000",
    "loading-process-events-interval-bytes": "1024",
  });
  redis = openRedis({ urls: [server.url], cluster: false }, SCRIPTS, (error) => away.push(error));
  await add("kept", 7);
  const other = new Redis(server.url);
  await other.mset(Array.from({ length: 2_000 }, (_, index) => [`filler:${index}`, "1"]).flat());
  await other.save();
  other.disconnect();
  server.kill("SIGKILL");
  let isBack = false;
  const back = server.restart().then(() => {
    isBack = true;
  });
  while (!isBack) {
    expect(await took(() => add("kept", 0))).toBeLessThan(SOON_MS);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await back;
  await until(async () => (await add("kept", 0)) === 7, "its data are there", 20_000);
  await redis.close();
  await server.close();
});

describe("a cluster of three primaries", () => {
  let cluster: RedisCluster;

  /** Keys by the node that has them: its slots are a third of all. */
  const keysOf = (node: number): string[] =>
    Array.from({ length: 200 }, (_, index) => `{user:${index}}:k`)
      .filter((key) => Math.floor(calculateSlot(key) / Math.ceil(16_384 / 3)) === node)
      .slice(0, 20);

  /** On a busy machine its node, too, may have been late once. */
  const served = (key: string): Promise<void> =>
    until(async () => (await add(key)) !== undefined, `${key} is served`, 10_000);

  const open = (urls: readonly string[]): void => {
    redis = openRedis({ urls, cluster: true }, SCRIPTS, (error) => away.push(error));
  };

  describe("without replicas", () => {
    beforeAll(async () => {
      cluster = await startRedisCluster({ replicas: 0 });
    });
    afterAll(() => cluster.close());
    afterEach(() => redis.close());

    test("is found from one node, and scripts run on every node from the first call on", async () => {
      const keys = [0, 1, 2].flatMap(keysOf);
      // A busy machine may not have connected in time.
      await until(async () => {
        open(cluster.urls.slice(1, 2));
        const first = await Promise.all(keys.map((key) => add(key)));
        if (first.every((answer) => answer !== undefined)) return true;
        await redis.close();
        return false;
      }, "the first calls of a connection are answered");
      const before = await Promise.all(keys.map((key) => add(key)));
      expect(await Promise.all(keys.map((key) => add(key)))).toEqual(
        before.map((answer) => Number(answer) + 1),
      );
    });

    test("follows slots that move to another node", async () => {
      open(cluster.urls);
      const key = keysOf(0)[0]!;
      const before = Number(await add(key, 0));
      const [from, to] = cluster.urls.slice(0, 2).map((url) => new Redis(url)) as [Redis, Redis];
      const slot = calculateSlot(key);
      const [fromId, toId] = [String(await from.cluster("MYID")), String(await to.cluster("MYID"))];
      await to.cluster("SETSLOT", slot, "IMPORTING", fromId);
      await from.cluster("SETSLOT", slot, "MIGRATING", toId);
      expect(await add(key)).toBe(before + 1);
      await from.migrate("127.0.0.1", cluster.nodes[1]!.port, "", 0, 5_000, "KEYS", key);
      expect(await add(key)).toBe(before + 2);
      for (const client of [to, from]) await client.cluster("SETSLOT", slot, "NODE", toId);
      expect(await add(key)).toBe(before + 3);
      from.disconnect();
      to.disconnect();
    });

    test("goes without an answer where keys are torn apart by a moving slot, and keeps to the node's other keys", async () => {
      open(cluster.urls);
      const [key, other] = keysOf(1) as [string, string];
      const second = key.replace(/k$/, "second");
      await add(key);
      const [to, from] = cluster.urls.slice(0, 2).map((url) => new Redis(url)) as [Redis, Redis];
      const slot = calculateSlot(key);
      const [fromId, toId] = [String(await from.cluster("MYID")), String(await to.cluster("MYID"))];
      await add(second);
      await to.cluster("SETSLOT", slot, "IMPORTING", fromId);
      await from.cluster("SETSLOT", slot, "MIGRATING", toId);
      await from.migrate("127.0.0.1", cluster.nodes[0]!.port, "", 0, 5_000, "KEYS", key);
      const both = () => redis.run(key, (commands) => commands.script("addBoth", [key, second], [1]));
      expect(await both()).toBeUndefined();
      expect(String(away.at(-1))).toMatch(/Too many Cluster redirections.*(TRYAGAIN|MOVED)/);
      expect(await add(other)).toEqual(expect.any(Number));
      await from.migrate("127.0.0.1", cluster.nodes[0]!.port, "", 0, 5_000, "KEYS", second);
      for (const client of [to, from]) await client.cluster("SETSLOT", slot, "NODE", toId);
      await until(async () => (await both()) !== undefined, "both are in one place", 20_000);
      from.disconnect();
      to.disconnect();
    });

    test("can be reached only when each of its nodes can", async () => {
      open(cluster.urls);
      await until(async () => (await add(keysOf(0)[1]!)) !== undefined, "it is connected", 20_000);
      await redis.ping();
      cluster.nodes[1]!.kill("SIGSTOP");
      for (let call = 0; call < 5; call += 1) await expect(redis.ping()).rejects.toThrow();
      cluster.nodes[1]!.kill("SIGCONT");
      const reached = () =>
        redis.ping().then(
          () => true,
          () => false,
        );
      await until(reached, "it can be reached", 30_000);
    });

    test("loses with a node that is stopped the keys of that node only", async () => {
      open(cluster.urls);
      await Promise.all([0, 1, 2].map((node) => add(keysOf(node)[0]!)));
      cluster.nodes[2]!.kill("SIGSTOP");
      for (const key of keysOf(2)) expect(await add(key)).toBeUndefined();
      for (const key of [...keysOf(0).slice(1), ...keysOf(1)]) await served(key);
      for (const key of keysOf(2)) expect(await add(key)).toBeUndefined();
      cluster.nodes[2]!.kill("SIGCONT");
      await until(async () => (await add(keysOf(2)[0]!)) !== undefined, "its keys are back", 30_000);
    });
  });

  describe("with replicas", () => {
    beforeAll(async () => {
      cluster = await startRedisCluster({ replicas: 1 });
    });
    afterAll(() => cluster.close());
    afterEach(() => redis.close());

    const keys = [0, 1, 2].flatMap((node) => keysOf(node).slice(0, 5));
    const wholeAgain = () =>
      until(
        async () => (await Promise.all(keys.map((key) => add(key)))).every((answer) => answer !== undefined),
        "all keys are served",
        30_000,
      );

    // The node that it was found by is the one that goes.
    test.each([
      ["was killed", 0, "SIGKILL"],
      ["does not answer", 1, "SIGSTOP"],
    ] as const)(
      "is whole again when one has taken the place of a primary that %s",
      async (_what, node, signal) => {
        open(cluster.urls.slice(node, node + 1));
        await wholeAgain();
        cluster.nodes[node]!.kill(signal);
        const others = [0, 1, 2].filter((other) => other !== node).flatMap(keysOf);
        for (const key of others) await served(key);
        await wholeAgain();
        if (signal === "SIGKILL") await cluster.nodes[node]!.restart();
        else cluster.nodes[node]!.kill("SIGCONT");
      },
    );

    test("is whole again after all of it was away", async () => {
      open(cluster.urls);
      await wholeAgain();
      for (const node of cluster.nodes) node.kill("SIGKILL");
      for (const key of keys) expect(await add(key)).toBeUndefined();
      await Promise.all(cluster.nodes.map((node) => node.restart()));
      await wholeAgain();
    });
  });
});
