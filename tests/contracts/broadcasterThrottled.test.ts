import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, inject, test } from "vitest";
import settings from "../../local.settings.example.json" with { type: "json" };
import type { Broadcaster } from "../../shared/broadcast/broadcaster.js";
import { connectWebPubSub } from "../../shared/broadcast/webPubSub.js";
import { readConfig } from "../../shared/config.js";

/** Says what becomes of a call; `undefined` passes it on. */
type Answer = (response: ServerResponse) => void;

/** Stands before the stack's socket service. */
const server = createServer((incoming, response) => {
  calls.push(Date.now());
  const answer = answers.shift();
  if (answer) answer(response);
  else passOn(incoming, response);
});
let answers: (Answer | undefined)[] = [];
/** When each call came. */
let calls: number[] = [];
let connection = "";
let broadcaster: Broadcaster;

function passOn(incoming: IncomingMessage, response: ServerResponse): void {
  const url = endpointOf(inject("stack").webPubSubConnection) + incoming.url;
  const passed = request(url, { method: incoming.method, headers: incoming.headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  incoming.pipe(passed);
}

const endpointOf = (text: string): string => /Endpoint=([^;]*)/.exec(text)?.[1] ?? "";

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const original = inject("stack").webPubSubConnection;
  connection = original.replace(endpointOf(original), `http://127.0.0.1:${port}`);
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  answers = [];
  calls = [];
  const { webPubSub } = readConfig({ ...settings.Values, WEB_PUBSUB_CONNECTION: connection });
  broadcaster = connectWebPubSub(webPubSub, "chat");
});

const refusing = (status: number, after: string): Answer => {
  return (response) => response.writeHead(status, { "retry-after": after }).end("{}");
};
const aDateIn = (ms: number): Date => new Date(Math.ceil((Date.now() + ms) / 1_000) * 1_000);

test.each([429, 503])("%i with seconds: the call waits for them, and succeeds", async (status) => {
  answers = [refusing(status, "1")];
  await broadcaster.sendToGroup("nobody", "a");
  expect(calls).toHaveLength(2);
  expect(calls[1]! - calls[0]!).toBeGreaterThanOrEqual(1_000);
});

test("with a date: the call waits for it, and succeeds", async () => {
  const date = aDateIn(1_000);
  answers = [refusing(503, date.toUTCString())];
  await broadcaster.sendToGroup("nobody", "a");
  expect(calls).toHaveLength(2);
  expect(calls[1]).toBeGreaterThanOrEqual(date.getTime());
});

test("other calls wait as well: the quota is one for all", async () => {
  answers = [refusing(429, "2")];
  const first = broadcaster.sendToGroup("nobody", "a");
  while (calls.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  // Until the answer is there.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await Promise.all([
    first,
    broadcaster.groupExists("nobody"),
    broadcaster.sendToUser(1, "a"),
    broadcaster.ping(),
  ]);
  expect(calls).toHaveLength(5);
  for (const later of calls.slice(1)) expect(later - calls[0]!).toBeGreaterThanOrEqual(2_000);
});

test("a long pause: calls fail at once, say when to come again, and keep away", async () => {
  answers = [refusing(429, "30")];
  for (let times = 0; times < 3; times += 1)
    await expect(broadcaster.sendToGroup("nobody", "a")).rejects.toMatchObject({
      code: "UNAVAILABLE",
      cause: { statusCode: 429 },
      details: { retryAfter: expect.closeTo(30, -1) },
    });
  await expect(broadcaster.ping()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(calls).toHaveLength(1);
  expect(await broadcaster.clientUrl(7, 5)).toContain("access_token");
});

test("asked again and again, a call gives up", async () => {
  answers = Array.from({ length: 20 }, () => refusing(429, "0"));
  await expect(broadcaster.sendToGroup("nobody", "a")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(calls).toHaveLength(3);
});

test("a body that never ends is not waited for", async () => {
  answers = [(response) => response.writeHead(202, { "content-length": "100" }).write("{")];
  await expect(broadcaster.sendToGroup("nobody", "a")).rejects.toMatchObject({ code: "UNAVAILABLE" });
});
