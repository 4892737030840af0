import calculateSlot from "cluster-key-slot";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openRedis, type RedisConnection } from "../../shared/redis/redisConnection.js";
import { until } from "../support/client.js";
import { doesNotCountIf, UNLESS_LATE } from "../support/late.js";
import { type RedisCluster, startRedisCluster } from "../support/redisCluster.js";
import { type RedisServer, startRedisServer } from "../support/redisServer.js";

const SCRIPTS = {
  addBoth: {
    lua: "return redis.call('INCRBY', KEYS[1], ARGV[1]) + redis.call('INCRBY', KEYS[2], ARGV[1])",
  },
  add: { lua: "return redis.call('INCRBY', KEYS[1], ARGV[1])" },
  broken: {
    lua: "local key = KEYS[1]\nreturn redis.call('GET')",
    whereIs: (line: number) => `broken.lua:${line}`,
  },
  fail: { lua: "return redis.error_reply('WRONG as asked')" },
  wait: {
    lua: "local last = redis.call('TIME')[1] + ARGV[1] while redis.call('TIME')[1] + 0 < last do end",
  },
};

let away: unknown[];
let redis: RedisConnection<keyof typeof SCRIPTS>;
const clients: Redis[] = [];

/** A client of its own, for what a test does to a server. */
function clientOf(url: string): Redis {
  const client = new Redis(url);
  clients.push(client);
  return client;
}

const add = (key: string, value = 1): Promise<unknown> =>
  redis.run(key, (commands) => commands.script("add", [key], [value]));

// On a busy machine Redis may be late where a test is about something else.
doesNotCountIf(() =>
  away.some((error) => /did not answer within|is not connected/.test(String(error)))
    ? "Redis did not answer in time"
    : undefined,
);

beforeEach(() => {
  away = [];
});
afterEach(() => {
  for (const client of clients.splice(0)) client.disconnect();
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

  test("is used from the first call on, and its scripts run", UNLESS_LATE, async () => {
    expect(await Promise.all([add("k"), add("k", 2), add("k", 3)])).toEqual([1, 3, 6]);
    expect(await redis.run("t", (commands) => commands.set("t", "1", "PX", 60_000, "NX"))).toBe("OK");
    expect(await redis.run("t", (commands) => commands.set("t", "1", "PX", 60_000, "NX"))).toBeNull();
    expect(await redis.run("t", (commands) => commands.get("t"))).toBe("1");
    await redis.ping();
    expect(away).toEqual([]);
  });

  test.each(["SIGKILL", "SIGSTOP"] as const)(
    "after %s is done without, and without an error, and used again when it is back",
    async (signal) => {
      await until(async () => (await add("k")) !== undefined, "it is used");
      away = [];
      server.kill(signal);
      for (let call = 0; call < 4; call += 1) expect(await add("k")).toBeUndefined();
      await expect(redis.ping()).rejects.toThrow();
      expect(away.length).toBeGreaterThanOrEqual(4);
      // Nobody has waited until the connection was given up.
      if (signal === "SIGSTOP") expect(String(away[0])).toContain("did not answer within");
      if (signal === "SIGKILL") await server.restart();
      else server.kill("SIGCONT");
      await until(async () => (await add("k")) !== undefined, "it is used again");
      await until(async () => {
        away = [];
        for (let call = 0; call < 10; call += 1) await add("k");
        return away.length === 0;
      }, "every call is answered again");
    },
  );

  test("whose answers came while this process was busy has not left it without", UNLESS_LATE, async () => {
    await add("k");
    for (let call = 0; call < 3; call += 1) {
      const answer = add("k");
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000);
      expect(await answer).toBe(call + 2);
    }
    expect(away).toEqual([]);
  });

  test("that lets its clients wait is done without, and used again when it goes on", async () => {
    const other = clientOf(server.url);
    await until(async () => (await add("k")) !== undefined, "it is used");
    away = [];
    await other.client("PAUSE", 600_000, "WRITE");
    for (let call = 0; call < 4; call += 1) expect(await add("k")).toBeUndefined();
    expect(String(away[0])).toContain("did not answer within");
    await other.client("UNPAUSE");
    await until(async () => (await add("k")) !== undefined, "it is used again");
  });

  test("that is stopped has lost its sockets soon after they are closed on our side", async () => {
    const sockets = (): number =>
      process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length;
    const before = sockets();
    const another = openRedis({ urls: [server.url], cluster: false }, SCRIPTS, (error) => away.push(error));
    await until(async () => (await another.run("k", (commands) => commands.get("k"))) === null, "it is used");
    away = [];
    expect(sockets()).toBeGreaterThan(before);
    server.kill("SIGSTOP");
    const call = another.run("k", (commands) => commands.get("k"));
    await another.close();
    expect(await call).toBeUndefined();
    expect(await another.run("k", (commands) => commands.get("k"))).toBeUndefined();
    await until(() => sockets() <= before, "no socket is left");
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
    await until(async () => (await add("k")) !== undefined, "it is used again");
  });

  test("that is stopped while thousands ask at once leaves each without an answer, and works afterwards", async () => {
    await add("k");
    server.kill("SIGSTOP");
    away = [];
    const answers = await Promise.all(Array.from({ length: 20_000 }, () => add("k")));
    expect(answers.every((answer) => answer === undefined)).toBe(true);
    expect(away).toHaveLength(20_000);
    expect(String(away.find((error) => /unanswered/.test(String(error))))).toContain("1000 calls unanswered");
    server.kill("SIGCONT");
    await until(async () => (await add("k")) !== undefined, "it is used again");
  });

  test("that is slow is left alone for a while, then asked by one call at a time", async () => {
    await until(async () => (await add("k")) !== undefined, "it is used");
    away = [];
    const other = clientOf(server.url);
    const busy = other.eval(SCRIPTS.wait.lua, 1, "k", 4);
    let isBusy = true;
    const over = busy.then(() => {
      isBusy = false;
    });
    await until(async () => (await add("k")) === undefined, "it is slow");
    await Promise.all(Array.from({ length: 500 }, () => add("k")));
    expect(isBusy).toBe(true);
    for (const error of away) expect(String(error)).toContain("did not answer within");
    await over;
    await until(async () => (await add("k")) !== undefined, "it is used again");
  });

  test("that is full refuses writes, goes on reading, and is not taken for away", UNLESS_LATE, async () => {
    const other = clientOf(server.url);
    await add("before");
    await other.config("SET", "maxmemory", "1");
    expect(await add("k")).toBeUndefined();
    expect(String(away[0])).toContain("OOM");
    for (let call = 0; call < 20; call += 1)
      expect(await redis.run("before", (commands) => commands.get("before"))).toBe("1");
    await other.config("SET", "maxmemory", "0");
    expect(await add("k")).toBe(1);
  });

  test("that says no to one call is asked by the next", UNLESS_LATE, async () => {
    for (let call = 0; call < 5; call += 1) {
      expect(await redis.run("k", (commands) => commands.script("fail", ["k"], []))).toBeUndefined();
      expect(await add("k")).toBe(call + 1);
    }
    expect(away.map(String)).toEqual(Array(5).fill(expect.stringContaining("WRONG as asked")));
  });

  test("tells in which file and line a script has failed", UNLESS_LATE, async () => {
    expect(await redis.run("k", (commands) => commands.script("broken", ["k"], []))).toBeUndefined();
    expect(away.map(String)).toEqual([expect.stringContaining("broken.lua:2")]);
  });

  test("that has forgotten the scripts is given them again", UNLESS_LATE, async () => {
    const other = clientOf(server.url);
    await add("k");
    await other.script("FLUSH");
    expect(await add("k")).toBe(2);
  });

  test("that becomes a replica is away until its address leads to a primary again", async () => {
    const other = clientOf(server.url);
    await add("k");
    await other.replicaof("127.0.0.1", 1);
    expect(await add("k")).toBeUndefined();
    await other.replicaof("NO", "ONE");
    await until(async () => (await add("k")) !== undefined, "it is used again");
  });
});

test("a server that comes only later is used then", async () => {
  const server = await startRedisServer();
  server.kill("SIGKILL");
  redis = openRedis({ urls: [server.url], cluster: false }, SCRIPTS, (error) => away.push(error));
  expect(await add("k")).toBeUndefined();
  await server.restart();
  await until(async () => (await add("k")) !== undefined, "it is used");
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
  await until(async () => (await add("kept", 0)) === 0, "it is used");
  const other = clientOf(server.url);
  await other.mset(Array.from({ length: 2_000 }, (_, index) => [`filler:${index}`, "1"]).flat());
  await other.incrby("kept", 7);
  await other.save();
  server.kill("SIGKILL");
  let isBack = false;
  const back = server.restart().then(() => {
    isBack = true;
  });
  let without = 0;
  while (!isBack) {
    await add("kept", 0);
    if (!isBack) without += 1;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await back;
  // They came back before the data were there.
  expect(without).toBeGreaterThan(0);
  await until(async () => (await add("kept", 0)) === 7, "its data are there");
  await redis.close();
  await server.close();
});

describe("a cluster of three primaries", () => {
  let cluster: RedisCluster;
  /** Each try has a slot of its own, as it leaves it elsewhere. */
  let tries = 0;

  /** Keys by the node that has them: its slots are a third of all. */
  const keysOf = (node: number): string[] =>
    Array.from({ length: 200 }, (_, index) => `{user:${index}}:k`)
      .filter((key) => Math.floor(calculateSlot(key) / Math.ceil(16_384 / 3)) === node)
      .slice(0, 20);

  /** On a busy machine its node, too, may have been late once. */
  const served = (key: string): Promise<void> =>
    until(async () => (await add(key)) !== undefined, `${key} is served`);

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

    test("follows slots that move to another node", UNLESS_LATE, async () => {
      open(cluster.urls);
      const key = keysOf(0)[tries++ % 20]!;
      const before = Number(await add(key, 0));
      const [from, to] = cluster.urls.slice(0, 2).map(clientOf) as [Redis, Redis];
      const slot = calculateSlot(key);
      const [fromId, toId] = [String(await from.cluster("MYID")), String(await to.cluster("MYID"))];
      await to.cluster("SETSLOT", slot, "IMPORTING", fromId);
      await from.cluster("SETSLOT", slot, "MIGRATING", toId);
      expect(await add(key)).toBe(before + 1);
      await from.migrate("127.0.0.1", cluster.nodes[1]!.port, "", 0, 5_000, "KEYS", key);
      expect(await add(key)).toBe(before + 2);
      for (const client of [to, from]) await client.cluster("SETSLOT", slot, "NODE", toId);
      expect(await add(key)).toBe(before + 3);
    });

    test(
      "goes without an answer where keys are torn apart by a moving slot, and keeps to the node's other keys",
      UNLESS_LATE,
      async () => {
        open(cluster.urls);
        const [key, other] = [keysOf(1)[tries % 20]!, keysOf(1)[++tries % 20]!];
        const second = key.replace(/k$/, "second");
        await add(key);
        const [to, from] = cluster.urls.slice(0, 2).map(clientOf) as [Redis, Redis];
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
        await until(async () => (await both()) !== undefined, "both are in one place");
      },
    );

    test("can be reached only when each of its nodes can", async () => {
      open(cluster.urls);
      await until(async () => (await add(keysOf(0)[1]!)) !== undefined, "it is connected");
      const reached = () =>
        redis.ping().then(
          () => true,
          () => false,
        );
      await until(reached, "it can be reached");
      cluster.nodes[1]!.kill("SIGSTOP");
      for (let call = 0; call < 5; call += 1) await expect(redis.ping()).rejects.toThrow();
      cluster.nodes[1]!.kill("SIGCONT");
      await until(reached, "it can be reached");
    });

    test("loses with a node that is stopped the keys of that node only", async () => {
      open(cluster.urls);
      await Promise.all([0, 1, 2].map((node) => add(keysOf(node)[0]!)));
      cluster.nodes[2]!.kill("SIGSTOP");
      for (const key of keysOf(2)) expect(await add(key)).toBeUndefined();
      for (const key of [...keysOf(0).slice(1), ...keysOf(1)]) await served(key);
      for (const key of keysOf(2)) expect(await add(key)).toBeUndefined();
      cluster.nodes[2]!.kill("SIGCONT");
      await until(async () => (await add(keysOf(2)[0]!)) !== undefined, "its keys are back");
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
