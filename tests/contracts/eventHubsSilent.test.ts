import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { start } from "../../local/eventHubs/server.js";
import { eventHubsConnection } from "../../local/stackServers.js";
import type { EventBus } from "../../shared/bus/eventBus.js";
import { connectEventHubs } from "../../shared/bus/eventHubs.js";
import { startTcpProxy, type TcpProxy } from "../support/tcpProxy.js";

const HUB = "chat-messages";

let folder: string;
let server: Awaited<ReturnType<typeof start>>;
let proxy: TcpProxy;
let bus: EventBus;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "nonstop-silent-bus-"));
  const hubs = { [HUB]: { partitions: 1, retentionHours: 1, consumerGroups: ["chat-recover"] } };
  server = await start({ port: 0, data: folder, hubs });
  proxy = await startTcpProxy(() => server.port);
  bus = connectEventHubs(eventHubsConnection(proxy.port));
});
afterAll(async () => {
  // First, because closing it after its connections were cut takes longer than a test may.
  await bus.close();
  await proxy.close();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

test("a connection to Event Hubs that the network has forgotten costs one send, and the next takes another", async () => {
  await bus.publish(HUB, "key", { text: "before" });
  const connection = bus.connection(HUB);
  const { opened } = proxy;
  proxy.forget();
  await expect(bus.publish(HUB, "key", { text: "forgotten" })).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(proxy.opened).toBe(opened);

  await bus.publish(HUB, "key", { text: "after" });
  expect(proxy.opened).toBe(opened + 1);
  expect(bus.connection(HUB)).not.toBe(connection);
  const events = await bus.readRange(HUB, "0", 0, 10, 10);
  expect(events.map(({ body }) => JSON.parse(Buffer.from(body).toString()))).toEqual([
    { text: "before" },
    { text: "after" },
  ]);
});

test("so does a question about the hub", async () => {
  expect(await bus.partitionIds(HUB)).toEqual(["0"]);
  proxy.forget();
  await expect(bus.partitionIds(HUB)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(await bus.partitionIds(HUB)).toEqual(["0"]);
});
