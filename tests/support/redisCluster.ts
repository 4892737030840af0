import { Redis } from "ioredis";
import { freePort, LOOPBACK } from "../../local/ports.js";
import { PATIENCE_MS } from "./patience.js";
import { type RedisServer, startRedisServer } from "./redisServer.js";

const SLOTS = 16_384;

export interface RedisCluster {
  /** Of all nodes, the primaries first. */
  readonly urls: readonly string[];
  /** The three primaries at the start, each with a third of the slots; then their replicas. */
  readonly nodes: readonly RedisServer[];
  close(): Promise<void>;
}

/**
 * Starts a real cluster of three primaries with `replicas` each. A node that is gone takes only its own slots
 * away.
 */
export async function startRedisCluster({ replicas }: { replicas: 0 | 1 }): Promise<RedisCluster> {
  const nodes: RedisServer[] = [];
  for (let index = 0; index < 3 + 3 * replicas; index += 1)
    nodes.push(
      await startRedisServer({
        "cluster-enabled": "yes",
        "cluster-port": String(await freePort()),
        "cluster-node-timeout": "1000",
        "cluster-require-full-coverage": "no",
      }),
    );
  const clients = nodes.map(({ port }) => new Redis(port, LOOPBACK));
  try {
    await join(clients);
    await assignSlots(clients.slice(0, 3));
    await until(clients, /cluster_slots_assigned:16384/);
    await until(clients, /cluster_state:ok/);
    await Promise.all(clients.slice(3).map((replica, index) => follow(replica, clients[index]!)));
  } finally {
    for (const client of clients) client.disconnect();
  }
  return {
    urls: nodes.map(({ url }) => url),
    nodes,
    async close() {
      await Promise.all(nodes.map((node) => node.close()));
    },
  };
}

async function join(clients: readonly Redis[]): Promise<void> {
  const [first, ...others] = clients as [Redis, ...Redis[]];
  for (const [index, client] of clients.entries()) await client.cluster("SET-CONFIG-EPOCH", index + 1);
  for (const other of others) {
    const [, bus] = (await other.config("GET", "cluster-port")) as string[];
    await first.cluster("MEET", LOOPBACK, other.options.port!, Number(bus));
  }
  await until(clients, new RegExp(`cluster_known_nodes:${clients.length}\\b`));
}

async function assignSlots(primaries: readonly Redis[]): Promise<void> {
  const share = Math.ceil(SLOTS / primaries.length);
  for (const [index, primary] of primaries.entries())
    await primary.cluster("ADDSLOTSRANGE", index * share, Math.min((index + 1) * share, SLOTS) - 1);
}

/** Returns once the replica has its primary's data, so that it can take its place. */
async function follow(replica: Redis, primary: Redis): Promise<void> {
  const id = String(await primary.cluster("MYID"));
  await replica.cluster("REPLICATE", id);
  await poll(async () => (await replica.info("replication")).includes("master_link_status:up"));
}

const until = (clients: readonly Redis[], state: RegExp): Promise<void> =>
  poll(async () => {
    const states = await Promise.all(clients.map((client) => client.cluster("INFO")));
    return states.every((text) => state.test(String(text)));
  });

async function poll(holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; !(await holds()); ) {
    if (Date.now() > end) throw new Error("the cluster is not ready");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
