import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { Arrivals } from "./arrivals.js";
import { gatherMs } from "./eventHubTriggers.js";

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

test("bytes from the port end a wait, and those that came before it", async () => {
  const server = await listening();
  const arrivals = new Arrivals(server.port);
  const end = await connected(server);
  expect(arrivals.count).toBe(0);
  const waited = arrivals.since(0, 60_000);
  end.write("x");
  await waited;
  expect(arrivals.count).toBe(1);
  await arrivals.since(0, 60_000);
  arrivals.close();
});

test("bytes from elsewhere don't, nor those that come once it is closed; a wait has an end", async () => {
  const [server, other] = [await listening(), await listening()];
  const arrivals = new Arrivals(server.port);
  const ends = [await connected(server), await connected(other)] as const;
  const socket = open.at(-1) as Socket;
  ends[1].write("x");
  await once(socket, "data");
  expect(arrivals.count).toBe(0);
  await arrivals.since(0, 5);
  expect(arrivals.count).toBe(0);
  const waited = arrivals.since(0, 60_000);
  arrivals.close();
  await waited;
});

test("between two calls passes as much time as the first one took, up to 20 ms", () => {
  const ask = (callTook: number, ago: number, inVain = 0): number =>
    gatherMs({ calledAt: 10_000, callTook, inVain }, 10_000 + ago);
  expect([ask(8, 0), ask(8, 6), ask(100, 10)]).toEqual([8, 2, 10]);
  expect([ask(8, 10), ask(100, 300)].every((wait) => wait <= 0)).toBe(true);
  expect(gatherMs({ calledAt: Number.NEGATIVE_INFINITY, callTook: 0, inVain: 0 }, 10)).toBeLessThanOrEqual(0);
});

test("who has asked in vain asks again ever later, up to 40 ms", () => {
  const asks = [1, 2, 3, 4, 5, 6, 60].map((inVain) => gatherMs({ calledAt: 0, callTook: 3, inVain }, 10_000));
  expect(asks).toEqual([2, 4, 8, 16, 32, 40, 40]);
});
