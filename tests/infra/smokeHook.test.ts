import { spawn } from "node:child_process";
import { afterAll, describe, expect, test } from "vitest";
import { projectRoot } from "../../local/settings.js";
import { call, history, tokenFor } from "../support/client.js";
import { ownStack } from "../support/ownStack.js";
import { fakeAzure } from "./hook.js";

const azure = fakeAzure();
afterAll(() => azure.close());

/** Runs the smoke test, as one would by hand. */
function smoke(url: string, env: Readonly<Record<string, string>>, patience = "60") {
  const child = spawn(process.execPath, ["infra/hooks/smoke.mjs", url, "--patience", patience], {
    cwd: projectRoot,
    env: { PATH: process.env["PATH"], ...env },
    stdio: ["ignore", "inherit", "pipe"],
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    said += text;
  });
  return new Promise<{ code: number | null; said: readonly string[] }>((resolve) => {
    child.once("close", (code) => resolve({ code, said: said.trim().split("\n") }));
  });
}

const STEPS = [
  "health",
  "upstream",
  "sign in",
  "socket",
  "CONNECT",
  "SUBSCRIBE",
  "SEND",
  "MESSAGE",
  "history",
];
const taken = (count: number): string[] => STEPS.slice(0, count).map((name) => `hook: smoke: ${name} ok`);

describe("with a system that works", () => {
  const stack = ownStack();

  test("a message goes through, each time in the same room", async () => {
    const token = await tokenFor(1);
    const first = await smoke(stack.addresses.api, { SMOKE_TOKEN: token });
    const again = await smoke(stack.addresses.api, { SMOKE_TOKEN_COMMAND: `echo ${token}` });
    const all = [...taken(9), "hook: smoke: a message went through and is stored"];
    expect([first, again]).toEqual([
      { code: 0, said: all },
      { code: 0, said: all },
    ]);
    const { body } = await call("GET", "/rooms", 1, undefined, stack.addresses);
    expect(body.rooms.map(({ name }: { name: string }) => name)).toEqual(["Deployment check"]);
    const messages = await history(body.rooms[0].roomId, 1, stack.addresses);
    expect(messages.filter(({ content }) => /^checked 20/.test(content))).toHaveLength(2);
  });

  test("what is not tried without a token is said", async () => {
    const { code, said } = await smoke(stack.addresses.api, {});
    expect(code).toBe(0);
    expect(said).toEqual([
      ...taken(2),
      expect.stringContaining("NOT TRIED: signing in, and a message's way."),
    ]);
  });

  test("a wrong address is told at the first step", async () => {
    const page = await smoke(stack.addresses.page, {});
    expect([page.code, page.said[0]]).toEqual([
      1,
      expect.stringContaining("health FAILED: GET /health is answered 200, not in JSON"),
    ]);
    const nowhere = await smoke("http://127.0.0.1:2", {});
    expect([nowhere.code, nowhere.said[0]]).toEqual([
      1,
      expect.stringMatching(/health FAILED: fetch failed/),
    ]);
    const wrong = await smoke("127.0.0.1", {});
    expect([wrong.code, wrong.said]).toEqual([
      1,
      ["hook: name the app: node infra/hooks/smoke.mjs https://HOST"],
    ]);
  });

  test("a token that the app doesn't take is told with what to look at", async () => {
    const { code, said } = await smoke(stack.addresses.api, {
      SMOKE_TOKEN: await tokenFor(1, { audience: "other" }),
    });
    expect(code).toBe(1);
    expect(said.slice(0, 2)).toEqual(taken(2));
    expect(said[2]).toContain("smoke: sign in FAILED: GET /rooms?limit=100 is answered 401");
    expect(said[3]).toContain("Look at: AUTH_ISSUER, AUTH_AUDIENCE, AUTH_JWKS_URI of the app");
  });

  test("the hook after deployment waits for the app, then deploys the hub, then sends a message", async () => {
    const { code, said, calls } = await azure.run("postdeploy", {
      env: {
        AZURE_RESOURCE_GROUP: "rg-chat",
        AZURE_FUNCTION_APP_NAME: "func-chat",
        AZURE_FUNCTION_APP_URL: stack.addresses.api,
        AZURE_WEB_PUBSUB_NAME: "wps-chat",
        AZURE_UPSTREAM_AUDIENCE: "api://AzureADTokenExchange",
        SMOKE_TOKEN: await tokenFor(1),
      },
    });
    expect([code, calls]).toEqual([
      0,
      [
        "az deployment group create --resource-group rg-chat --name web-pubsub-hub --template-file " +
          `infra/modules/webPubSubHub.bicep --parameters webPubSubName=wps-chat functionAppUrl=${stack.addresses.api} ` +
          "upstreamAudience=api://AzureADTokenExchange --output none --only-show-errors",
      ],
    ]);
    expect(said.trim().split("\n")).toEqual([
      `hook: Web PubSub: its events go to ${stack.addresses.api}...`,
      ...taken(9),
      "hook: smoke: a message went through and is stored",
    ]);
  });

  test("where the hub can't be deployed no message is tried", async () => {
    const { code, said } = await azure.run("postdeploy", {
      env: {
        AZURE_RESOURCE_GROUP: "rg-chat",
        AZURE_FUNCTION_APP_NAME: "func-chat",
        AZURE_FUNCTION_APP_URL: stack.addresses.api,
        AZURE_WEB_PUBSUB_NAME: "wps-chat",
        AZURE_UPSTREAM_AUDIENCE: "api://AzureADTokenExchange",
      },
      answers: [{ when: "az deployment", says: "ERROR: NotFound", exit: 1 }],
    });
    expect(code).toBe(1);
    expect(said).toContain("postdeploy failed: az deployment group create failed (1): ERROR: NotFound");
    expect(said).not.toContain("smoke");
  });
});

describe("with a consumer that is silent", () => {
  const stack = ownStack({ "AzureWebJobs.chatMessages.Disabled": "true" });

  test("the message is accepted, and what is missing after that is told", async () => {
    const { code, said } = await smoke(stack.addresses.api, { SMOKE_TOKEN: await tokenFor(1) }, "5");
    expect(code).toBe(1);
    expect(said.slice(0, 7)).toEqual(taken(7));
    expect(said[7]).toBe("hook: smoke: MESSAGE FAILED: nothing came within 5 s");
    expect(said[8]).toContain("Look at: the function chatMessages: whether it runs");
  });
});
