import { afterEach, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { ChatError } from "./errors.js";
import { Link } from "./link.js";
import { DEFAULT_TIMING } from "./timing.js";

const ended: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0)) await end();
});

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A service that says CONNECTED with this promise of heart-beats, and then an EOL so often, if at all. */
async function service(heartBeat: string, everyMs?: number): Promise<string> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "v12.stomp" });
  server.on("connection", (socket) => {
    socket.send(`CONNECTED\nversion:1.2\nsession:c-1\nuser-name:42\nheart-beat:${heartBeat}\n\n\0`);
    const timer = everyMs ? setInterval(() => socket.send("\n"), everyMs) : undefined;
    socket.on("close", () => clearInterval(timer));
  });
  await new Promise((resolve) => server.once("listening", resolve));
  ended.push(async () => {
    for (const socket of server.clients) socket.terminate();
    await new Promise((resolve) => server.close(resolve));
  });
  return `ws://127.0.0.1:${(server.address() as { port: number }).port}/`;
}

async function linkTo(url: string) {
  const link = new Link(url, { timing: DEFAULT_TIMING, subscribeHeaders: () => ({}), onMessage: () => {} });
  ended.push(() => link.close(new ChatError("ABORTED", "the test is over")));
  const state = { link, why: undefined as string | undefined, at: 0 };
  void link.closed.then(({ code, message }) => {
    state.why = `${code}: ${message}`;
    state.at = Date.now();
  });
  await link.open();
  return state;
}

test("a service that promises heart-beats and is silent for twice as long is gone", async () => {
  const url = await service("300,0");
  const before = Date.now();
  const state = await linkTo(url);
  await expect.poll(() => state.why).toBe("OFFLINE: the service has fallen silent");
  expect(state.at - before).toBeGreaterThanOrEqual(600);
});

test("heart-beats alone keep a connection", async () => {
  const state = await linkTo(await service("2000,0", 100));
  await wait(4_500);
  expect(state.why).toBeUndefined();
});

test("a service that promises none may be silent", async () => {
  const state = await linkTo(await service("0,0"));
  await wait(1_500);
  expect(state.why).toBeUndefined();
});
