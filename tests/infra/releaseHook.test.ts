import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, expect, test } from "vitest";
import { fakeAzure } from "./hook.js";

const azure = fakeAzure();
afterAll(() => azure.close());

const SITE =
  "/subscriptions/00000000-0000-4000-8000-000000000000/resourceGroups/rg-chat/providers/Microsoft.Web/sites/func-chat";
const REFRESH = `az rest --method post --url ${SITE}/config/configreferences/appsettings/refresh?api-version=2022-03-01 --output none --only-show-errors`;
const RESTART = "az functionapp restart --resource-group rg-chat --name func-chat --only-show-errors";
const HUB = "az deployment group create --resource-group rg-chat --name web-pubsub-hub ";

/** What an app answers to one request after the other, the last one from then on. */
interface Said {
  readonly status: number;
  readonly body: string;
}
const NOT_STARTED = { status: 503, body: "<html>Service Unavailable</html>" };
const DATABASE_DOWN = { status: 503, body: '{"status":"down","dependencies":{"mysql":"down"}}' };

let close: (() => void) | undefined;
afterEach(() => close?.());

/** Runs the hook after deployment on an app that answers so. */
async function release(answers: readonly Said[], more: Readonly<Record<string, string>> = {}) {
  let asked = 0;
  const server = createServer((_, response) => {
    const { status, body } = answers[Math.min(asked, answers.length - 1)]!;
    asked += 1;
    response.writeHead(status).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  close = () => server.close();
  const { port } = server.address() as AddressInfo;
  return azure.run("postdeploy", {
    env: {
      AZURE_SUBSCRIPTION_ID: "00000000-0000-4000-8000-000000000000",
      AZURE_RESOURCE_GROUP: "rg-chat",
      AZURE_FUNCTION_APP_NAME: "func-chat",
      AZURE_FUNCTION_APP_URL: `http://127.0.0.1:${port}`,
      AZURE_WEB_PUBSUB_NAME: "wps-chat",
      AZURE_UPSTREAM_AUDIENCE: "api://AzureADTokenExchange",
      AZURE_MYSQL_MODE: "password",
      HOOK_START_MS: "1",
      ...more,
    },
    answers: [{ when: "az rest", says: "ERROR: Forbidden", exit: 1 }],
  });
}

test("an app that doesn't start reads its secrets again, then is restarted", async () => {
  const { calls } = await release([NOT_STARTED, DATABASE_DOWN]);
  expect(calls).toEqual([REFRESH, RESTART, expect.stringContaining(HUB)]);
});

test("one without secrets is restarted alone", async () => {
  const { calls } = await release([NOT_STARTED, DATABASE_DOWN], { AZURE_MYSQL_MODE: "entra" });
  expect(calls).toEqual([RESTART, expect.stringContaining(HUB)]);
});

test("an app whose database is not prepared yet gets its hub, and the check says what is missing", async () => {
  const { code, said, calls } = await release([DATABASE_DOWN]);
  expect([code, calls]).toEqual([1, [expect.stringContaining(HUB)]]);
  expect(said).toContain('health FAILED: 503 {"status":"down","dependencies":{"mysql":"down"}}');
});

test("one that doesn't start after all gets no hub", async () => {
  const { code, said, calls } = await release([NOT_STARTED]);
  expect([code, calls]).toEqual([1, [REFRESH, RESTART]]);
  expect(said).toContain("postdeploy failed: the app is not healthy within 0.001 s: it answers 503");
});
