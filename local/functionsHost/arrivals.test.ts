import { once } from "node:events";
import { createRequire } from "node:module";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { partitionOf } from "./amqpArrivals.js";
import { Arrivals } from "./arrivals.js";
import { gatherMs } from "./eventHubTriggers.js";

const require = createRequire(import.meta.url);
const frames = require("rhea/lib/frames.js");
const terminus = require("rhea/lib/terminus.js");

const open: (Server | Socket)[] = [];
afterEach(() => {
  for (const one of open.splice(0)) "destroy" in one ? one.destroy() : one.close();
});

/** A server that keeps its end of each connection. */
async function listening(): Promise<{ port: number; ends: Socket[] }> {
  const ends: Socket[] = [];
  const server = createServer((socket) => void ends.push(socket));
  server.listen(0, "127.0.0.1");
  open.push(server);
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, ends };
}

async function connected({ port, ends }: { port: number; ends: Socket[] }): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").resume();
  open.push(socket);
  await once(socket, "connect");
  while (ends.length === 0) await new Promise((resolve) => setImmediate(resolve));
  return ends.at(-1)!;
}

test("what comes from the port ends a wait, and so does what came before it", async () => {
  const server = await listening();
  const arrivals = new Arrivals(server.port);
  const end = await connected(server);
  expect(arrivals.isBlind).toBe(true);
  const waited = arrivals.since("0", 0, 60_000);
  // No AMQP that could be read: it may be an event of any partition.
  end.write("xxxx");
  expect(await waited).toBe(true);
  expect([arrivals.isBlind, arrivals.count("0"), arrivals.count("1")]).toEqual([false, 1, 1]);
  expect(await arrivals.since("1", 0, 60_000)).toBe(true);
  arrivals.close();
});

const of = (id: string): string => partitionOf("hub", "group", id);

test("an event of one partition ends no wait for another", async () => {
  const server = await listening();
  const arrivals = new Arrivals(server.port);
  const end = await connected(server);
  const ends: string[] = [];
  const waits = ["0", "1"].map((id) => arrivals.since(of(id), 0, 60_000).then(() => ends.push(id)));
  for (const id of [0, 1]) end.write(attach(id));
  end.write(transfer(1));
  await waits[1];
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect([ends, arrivals.count(of("0")), arrivals.count(of("1"))]).toEqual([["1"], 0, 1]);
  end.write(transfer(0));
  await waits[0];
  expect([arrivals.count(of("0")), arrivals.count(of("1"))]).toEqual([1, 1]);
  arrivals.close();
});

/** A server's link of a partition with the number of its handle, and an event over it. */
const attach = (id: number): Buffer => {
  const source = terminus.source({ address: `hub/ConsumerGroups/group/Partitions/${id}` }).described();
  return frames.write_frame(
    frames.amqp_frame(0, frames.attach({ name: `${id}`, handle: id, role: false, source })),
  );
};
const transfer = (handle: number): Buffer =>
  frames.write_frame(frames.amqp_frame(0, frames.transfer({ handle }), Buffer.from("event")));

test("bytes from elsewhere don't count, nor those that come once it is closed; a wait has an end", async () => {
  const [server, other] = [await listening(), await listening()];
  const arrivals = new Arrivals(server.port);
  const ends = [await connected(server), await connected(other)] as const;
  const socket = open.at(-1) as Socket;
  ends[1].write("xxxx");
  await once(socket, "data");
  expect(arrivals.isBlind).toBe(true);
  expect(await arrivals.since("0", 0, 5)).toBe(false);
  expect(arrivals.count("0")).toBe(0);
  const waited = arrivals.since("0", 0, 60_000);
  arrivals.close();
  expect(await waited).toBe(false);
});

test("between two calls passes as much time as the first one took, up to 20 ms, where calls have several events", () => {
  const ask = (callTook: number, ago: number, usual = 3): number =>
    gatherMs({ calledAt: 10_000, callTook, usual, inVain: 0 }, 10_000 + ago);
  expect([ask(8, 0), ask(8, 6), ask(100, 10), ask(8, 0, 40)]).toEqual([8, 2, 10, 8]);
  expect([ask(8, 0, 2.25), ask(8, 0, 1.5), ask(8, 0, 0)]).toEqual([4, 0, 0]);
  expect([ask(8, 10), ask(100, 300)].every((wait) => wait <= 0)).toBe(true);
  const never = { calledAt: Number.NEGATIVE_INFINITY, callTook: 0, usual: 0, inVain: 0 };
  expect(gatherMs(never, 10)).toBeLessThanOrEqual(0);
});

test("who has asked in vain asks again ever later, up to 40 ms", () => {
  const asks = [1, 2, 3, 4, 5, 6, 60].map((inVain) =>
    gatherMs({ calledAt: 0, callTook: 3, usual: 3, inVain }, 10_000),
  );
  expect(asks).toEqual([2, 4, 8, 16, 32, 40, 40]);
});
