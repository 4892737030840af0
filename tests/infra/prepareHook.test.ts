import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";
import { projectRoot } from "../../local/settings.js";
import { type Answer, fakeAzure } from "./hook.js";

// Plain JavaScript without declarations: imported by address.
const { isOlder } = await import(pathToFileURL(join(projectRoot, "infra/hooks/prepare.mjs")).href);

const azure = fakeAzure();
afterAll(() => azure.close());

const SUBSCRIPTION = "00000000-0000-4000-8000-000000000000";
const ENV = {
  AZURE_ENV_NAME: "chat-dev",
  AZURE_SUBSCRIPTION_ID: SUBSCRIPTION,
  AUTH_ISSUER: "https://id.example.com/",
  AUTH_AUDIENCE: "chat",
  AUTH_JWKS_URI: "https://id.example.com/keys",
  AZURE_BUDGET_START: "2026-11-01",
};
const REGISTERED = [
  "Microsoft.App",
  "Microsoft.Cache",
  "Microsoft.DBforMySQL",
  "Microsoft.EventHub",
  "Microsoft.Insights",
  "Microsoft.KeyVault",
  "Microsoft.ManagedIdentity",
  "Microsoft.OperationalInsights",
  "Microsoft.SignalRService",
  "Microsoft.Storage",
  "Microsoft.Web",
];
const ANSWERS: readonly Answer[] = [
  { when: "az version", prints: '{"azure-cli":"2.90.0"}' },
  { when: "azd version", prints: "azd version 1.25.1 (commit 0)" },
  { when: "az bicep version", prints: "Bicep CLI version 0.49.2 (x)" },
  { when: "az account show", prints: JSON.stringify({ id: SUBSCRIPTION }) },
  { when: "az provider list", prints: JSON.stringify(REGISTERED) },
];
const instead = (...answers: Answer[]): Answer[] => [...answers, ...ANSWERS];

test("a machine and settings that are fit are only looked at", async () => {
  const { code, said, calls } = await azure.run("preprovision", { env: ENV, answers: ANSWERS });
  expect([code, said]).toEqual([0, ""]);
  expect(calls.map((line) => line.split(" ").slice(0, 3).join(" "))).toEqual([
    "az version --output",
    "azd version",
    "az bicep version",
    "az account show",
    "az provider list",
  ]);
});

test("everything that is missing is named at once", async () => {
  const answers = instead({ when: "az version", prints: '{"azure-cli":"2.60.0"}' });
  const env = { AZURE_ENV_NAME: "Chat_Dev", AZURE_MYSQL_MODE: "entra", AZURE_BUDGET_START: "2026-11-01" };
  const { code, said } = await azure.run("preprovision", { env, answers });
  expect(code).toBe(1);
  expect(said.trim().split("\n")).toEqual([
    "hook: preprovision failed: not ready to provision:",
    "  AZURE_SUBSCRIPTION_ID is not set, the subscription to deploy into: azd env set AZURE_SUBSCRIPTION_ID ID (az account show --query id --output tsv)",
    "  AUTH_ISSUER is not set, the issuer of your users' tokens: azd env set AUTH_ISSUER VALUE",
    "  AUTH_AUDIENCE is not set, the audience of your users' tokens: azd env set AUTH_AUDIENCE VALUE",
    "  AUTH_JWKS_URI is not set, where your identity provider publishes its keys, https://…: azd env set AUTH_JWKS_URI VALUE",
    "  AZURE_ENV_NAME Chat_Dev must have 2 to 20 characters, a to z, 0 to 9 and - between them: azd env new NAME",
    "  AZURE_MYSQL_ENTRA_ADMIN_LOGIN is not set, which AZURE_MYSQL_MODE=entra wants: azd env set AZURE_MYSQL_ENTRA_ADMIN_LOGIN VALUE",
    "  AZURE_MYSQL_ENTRA_ADMIN_OBJECT_ID is not set, which AZURE_MYSQL_MODE=entra wants: azd env set AZURE_MYSQL_ENTRA_ADMIN_OBJECT_ID VALUE",
    "  az 2.60.0 is too old, 2.76.0 is needed",
  ]);
});

test("a first azd provision, for which nobody has been asked for the subscription, is told what to do", async () => {
  const { AZURE_SUBSCRIPTION_ID: _, ...env } = ENV;
  const { code, said } = await azure.run("preprovision", { env, answers: ANSWERS });
  expect([code, said.trim().split("\n")]).toEqual([
    1,
    [
      "hook: preprovision failed: not ready to provision:",
      "  AZURE_SUBSCRIPTION_ID is not set, the subscription to deploy into: azd env set AZURE_SUBSCRIPTION_ID ID (az account show --query id --output tsv)",
    ],
  ]);
});

test.each([
  ["azd version", "azd version 1.23.11 (commit 0)", "azd 1.23.11 is too old, 1.23.12 is needed"],
  ["az bicep version", "Bicep CLI version 0.38.33 (x)", "Bicep of az 0.38.33 is too old, 0.39.0 is needed"],
])("%s that says %s is too old", async (when, prints, problem) => {
  const { code, said } = await azure.run("preprovision", { env: ENV, answers: instead({ when, prints }) });
  expect([code, said]).toEqual([1, expect.stringContaining(problem)]);
});

test("az that is signed in elsewhere is told", async () => {
  const answers = instead({ when: "az account show", prints: '{"id":"other"}' });
  const { code, said } = await azure.run("preprovision", { env: ENV, answers });
  expect(code).toBe(1);
  expect(said).toContain(
    `az is not signed in to ${SUBSCRIPTION}: az login, then az account set --subscription`,
  );
});

test("providers that the subscription does not have are registered", async () => {
  const some = REGISTERED.filter((name) => !["Microsoft.App", "Microsoft.Cache"].includes(name));
  const answers = instead({ when: "az provider list", prints: JSON.stringify(some) });
  const { calls } = await azure.run("preprovision", { env: ENV, answers });
  expect(calls.filter((line) => line.includes("register"))).toEqual([
    "az provider register --namespace Microsoft.App --wait --only-show-errors",
    "az provider register --namespace Microsoft.Cache --wait --only-show-errors",
  ]);
});

test("a missing Bicep of az is installed", async () => {
  const answers = instead({ when: "az bicep version", says: "ERROR: Bicep CLI not found", exit: 1 });
  const { code, calls } = await azure.run("preprovision", { env: ENV, answers });
  expect(code).toBe(1);
  expect(calls).toContain("az bicep install --only-show-errors");
});

test("the month in which a budget begins is kept from the first time on", async () => {
  const { AZURE_BUDGET_START: _, ...env } = ENV;
  const { calls } = await azure.run("preprovision", { env, answers: ANSWERS });
  expect(calls.at(-1)).toMatch(/^azd env set AZURE_BUDGET_START 20\d\d-\d\d-01$/);
});

test("a pipeline, which keeps nothing, has to name that month itself", async () => {
  const { AZURE_BUDGET_START: _, ...env } = { ...ENV, CI: "true", AZURE_BUDGET_AMOUNT: "500" };
  const { code, said } = await azure.run("preprovision", { env, answers: ANSWERS });
  expect([code, said]).toEqual([
    1,
    expect.stringContaining("AZURE_BUDGET_START is not set, and a pipeline keeps nothing"),
  ]);
});

test("a hook that there is not is refused", async () => {
  const { code, said } = await azure.run("afterwards", { env: {} });
  expect([code, said]).toEqual([
    1,
    "hook: afterwards failed: the hook must be one of preprovision, prepackage, postprovision, predeploy, postdeploy\n",
  ]);
});

test.each([
  ["2.75.0", "2.75.0", false],
  ["2.8.0", "2.75.0", true],
  ["3.0.0", "2.75.0", false],
  ["1.99.9", "2.75.0", true],
  ["2.75", "2.75.1", true],
])("version %s against %s: older is %s", (version, least, older) => {
  expect(isOlder(version, least)).toBe(older);
});
