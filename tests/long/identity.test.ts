import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../support/client.js";
import { type IdentityStack, startIdentityStack } from "../support/identityStack.js";
import { loseNothing } from "../support/outage.js";

/** The SDK of Event Hubs renews two minutes before the end: every five seconds, with these. */
const LIFETIME_MS = 125_000;

let stack: IdentityStack;
beforeAll(async () => {
  stack = await startIdentityStack(LIFETIME_MS);
});
afterAll(() => stack.close());

/** In place of a server's death and its next process. */
function cutting() {
  let cuts = 0;
  const kill = (): void => {
    cuts += 1;
    stack.cut();
  };
  return { kill, pid: () => cuts };
}

const health = () =>
  fetch(`${stack.addresses.api}/api/v1/chat/health`).then(
    (answer) => answer.json() as Promise<Record<string, unknown>>,
    () => ({}),
  );

test("the app is up with its identity alone", async () => {
  await expect.poll(health).toMatchObject({
    status: "up",
    dependencies: { mysql: "up", redis: "up", eventHubs: "up", webPubSub: "up" },
  });
  const audiences = new Set(stack.endpoint.issued.map(({ audience }) => audience));
  expect(audiences).toEqual(
    new Set([
      "https://eventhubs.azure.net/",
      "https://ossrdbms-aad.database.windows.net",
      "https://redis.azure.com",
    ]),
  );
});

test("tokens are renewed and all connections broken under load, and no message is lost", async () => {
  const before = stack.endpoint.issued.length;
  await loseNothing({ addresses: stack.addresses, ...cutting() });
  await until(() => stack.endpoint.issued.length > before + 5, "tokens were renewed");
  expect(stack.taken().redis).toBeGreaterThan(2);
});

test("while no tokens can be had the app says that it is down, and it goes on when there are some", async () => {
  stack.endpoint.isDown = true;
  stack.cut();
  await expect.poll(health).toMatchObject({ status: "down" });
  stack.endpoint.isDown = false;
  await expect.poll(health).toMatchObject({ status: "up" });
  await loseNothing({ addresses: stack.addresses, ...cutting() });
});

test("an upstream call with another token is refused, and the log says why, without the token", async () => {
  const token = stack.endpoint.issued[0]?.token ?? "";
  const answer = await fetch(`${stack.addresses.api}/api/v1/chat/upstream/message`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "ce-id": "1" },
  });
  expect(answer.status).toBe(401);
  await expect
    .poll(() => stack.output())
    .toContain("a call was refused whose token is not the socket service's");
  expect(stack.output()).toMatch(/"claims":\{"iss":"http:[^}]*"aud":"https:/);
});

test("no token is written into a log", () => {
  for (const { token } of stack.endpoint.issued) expect(stack.output()).not.toContain(token.slice(-60));
});
