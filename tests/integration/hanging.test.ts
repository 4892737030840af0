import { afterAll, afterEach, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { call, fill, history, makeRoom, newUsers, until } from "../support/client.js";
import { countingAt, startOtlpReceiver } from "../support/otlpReceiver.js";
import { type OwnHost, startOwnHost } from "../support/ownHost.js";
import { startTcpProxy, type TcpProxy } from "../support/tcpProxy.js";

const PARTS = ["mysql", "redis", "eventHubs", "webPubSub"] as const;
type Part = (typeof PARTS)[number];

let settings: Readonly<Record<string, string>>;
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
    settings = {
      MYSQL_URL: mysql.address,
      REDIS_URL: redis.address,
      EVENT_HUBS_CONNECTION: eventHubs.address,
      WEB_PUBSUB_CONNECTION: webPubSub.address,
      AzureWebJobsStorage: stack.storage,
    };
    host = await startOwnHost(inject("stackFolder"), settings);
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

  test("all at once: a host that ends exports what it has counted last", async () => {
    const receiver = await startOtlpReceiver();
    onTestFinished(() => receiver.close());
    // Only the end exports anything.
    const counting = { ...countingAt(receiver.url), OTEL_METRIC_EXPORT_INTERVAL: "3600000" };
    const ending = await startOwnHost(inject("stackFolder"), { ...settings, ...counting });
    await until(
      async () => (await call("GET", "/health", undefined, undefined, ending)).status === 200,
      "up",
    );
    for (const part of PARTS) proxies[part].isMute = true;
    await call("GET", "/rooms", "no token", undefined, ending);
    expect(receiver.requests).toBe(0);
    await ending.close();
    expect(receiver.value("chat.refusals", { code: "UNAUTHORIZED", via: "http" })).toBe(1);
  });

  test("/health is answered before a call that waits for MySQL is given up", async () => {
    const [user] = newUsers(1) as [number];
    const rooms = () => call("GET", "/rooms", user, undefined, host);
    await until(async () => (await rooms()).status === 200, "calls are answered");
    proxies.mysql.isMute = true;
    let isAnswered = false;
    const waiting = rooms().then((answer) => {
      isAnswered = true;
      return answer;
    });
    expect((await health()).body.dependencies.mysql).toBe("down");
    expect(isAnswered).toBe(false);
    expect((await waiting).status).toBe(503);
  });

  test("MySQL: once a call was given up others are refused at once, until it is back", async () => {
    const [user] = newUsers(1) as [number];
    const rooms = () => call("GET", "/rooms", user, undefined, host);
    await until(async () => (await rooms()).status === 200, "calls are answered");
    proxies.mysql.isMute = true;
    expect((await rooms()).status).toBe(503);
    const refused = { code: "UNAVAILABLE", detail: "The database does not answer right now; try again." };
    for (let times = 0; times < 3; times += 1) expect((await rooms()).body).toMatchObject(refused);
    proxies.mysql.isMute = false;
    proxies.mysql.cut();
    await until(async () => (await rooms()).status === 200, "calls are answered again");
  });

  test("Event Hubs: the same", async () => {
    const users = newUsers(2) as [number, number];
    const roomId = await makeRoom(users);
    await fill(roomId, users[1], 1);
    const [{ messageId }] = await history(roomId, users[0], host);
    const path = `/rooms/${roomId}/read?messageId=${messageId}`;
    const read = () => call("PATCH", path, users[0], undefined, host);
    await until(async () => (await read()).status === 202, "reads are taken");
    proxies.eventHubs.isMute = true;
    expect((await read()).status).toBe(503);
    const refused = { code: "UNAVAILABLE", detail: "The event bus does not answer right now; try again." };
    for (let times = 0; times < 3; times += 1) expect((await read()).body).toMatchObject(refused);
    proxies.eventHubs.isMute = false;
    proxies.eventHubs.cut();
    await until(async () => (await read()).status === 202, "reads are taken again");
  });
});
