import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from "vitest";
import { call, newUsers, until } from "../support/client.js";
import { type OwnHost, startOwnHost } from "../support/ownHost.js";
import { startTcpProxy, type TcpProxy } from "../support/tcpProxy.js";

const PARTS = ["mysql", "redis", "eventHubs", "webPubSub"] as const;
type Part = (typeof PARTS)[number];

let host: OwnHost;
let proxies: Readonly<Record<Part, TcpProxy>>;

/** The same address behind a proxy. */
async function behind(address: string): Promise<{ readonly proxy: TcpProxy; readonly address: string }> {
  const port = /:(\d+)(?=[/;]|$)/.exec(address)?.[1];
  const proxy = await startTcpProxy(() => Number(port));
  return { proxy, address: address.replace(`:${port}`, `:${proxy.port}`) };
}

// A broker of Kafka tells clients its own address: that of `tests/contracts/kafka.test.ts` tells a proxy's.
describe.skipIf(process.env["EVENT_BUS"] === "kafka")("a part that accepts and says nothing", () => {
  beforeAll(async () => {
    const stack = inject("stack");
    const [mysql, redis, eventHubs, webPubSub] = await Promise.all([
      behind(stack.mysql),
      behind(stack.redis),
      behind(stack.eventHubs),
      behind(stack.webPubSubConnection),
    ]);
    proxies = {
      mysql: mysql.proxy,
      redis: redis.proxy,
      eventHubs: eventHubs.proxy,
      webPubSub: webPubSub.proxy,
    };
    host = await startOwnHost(inject("stackFolder"), {
      MYSQL_URL: mysql.address,
      REDIS_URL: redis.address,
      EVENT_HUBS_CONNECTION: eventHubs.address,
      WEB_PUBSUB_CONNECTION: webPubSub.address,
      AzureWebJobsStorage: stack.storage,
    });
  });
  afterAll(async () => {
    await host.close();
    await Promise.all(Object.values(proxies).map((proxy) => proxy.close()));
  });
  /** What was swallowed is lost, so connections are opened anew, as after a server's restart. */
  afterEach(async () => {
    for (const part of PARTS) {
      proxies[part].isMute = false;
      proxies[part].cut();
    }
    await until(async () => (await health()).body.status === "up", "all are up again");
  });

  const health = () => call("GET", "/health", undefined, undefined, host);
  const states = (silent: readonly Part[]) =>
    Object.fromEntries(PARTS.map((part) => [part, silent.includes(part) ? "down" : "up"]));

  test.each<[string, readonly Part[]]>([
    ["MySQL", ["mysql"]],
    ["Redis", ["redis"]],
    ["Event Hubs", ["eventHubs"]],
    ["Web PubSub", ["webPubSub"]],
    ["MySQL and Redis", ["mysql", "redis"]],
    ["all at once", PARTS],
  ])("%s: /health says so, again and again", async (_name, silent) => {
    await until(async () => (await health()).body.status === "up", "all are up");
    for (const part of silent) proxies[part].isMute = true;
    for (let times = 0; times < 3; times += 1) {
      const { status, body } = await health();
      expect(body.dependencies).toEqual(states(silent));
      expect([status, body.status]).toEqual(silent[0] === "redis" ? [200, "degraded"] : [503, "down"]);
    }
  });

  test("/health is answered before a call that waits for MySQL is given up", async () => {
    const [user] = newUsers(1) as [number];
    await call("GET", "/rooms", user, undefined, host);
    proxies.mysql.isMute = true;
    let isAnswered = false;
    const waiting = call("GET", "/rooms", user, undefined, host).then((answer) => {
      isAnswered = true;
      return answer;
    });
    expect((await health()).body.dependencies.mysql).toBe("down");
    expect(isAnswered).toBe(false);
    expect((await waiting).status).toBe(503);
  });
});
