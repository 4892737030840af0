import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startMySql } from "../../local/services/mysql.js";
import type { Service } from "../../local/services/service.js";
import { projectRoot } from "../../local/settings.js";
import { type Answer, fakeAzure, DATABASE_OUTPUTS as OUTPUTS } from "./hook.js";

// Plain JavaScript without declarations: imported by address.
const { userStatements } = await import(pathToFileURL(join(projectRoot, "infra/hooks/database.mjs")).href);

const folder = mkdtempSync(join(tmpdir(), "nonstop-hook-"));
const azure = fakeAzure();
let mysql: Service;

beforeAll(async () => {
  mysql = await startMySql({ data: join(folder, "mysql") });
  expect((await azure.run("prepackage", { env: {} })).code).toBe(0);
});
afterAll(async () => {
  await mysql.close();
  azure.close();
  rmSync(folder, { recursive: true, force: true });
});

const RULE =
  "/subscriptions/00000000-0000-4000-8000-000000000000/resourceGroups/rg-chat/providers/Microsoft.DBforMySQL/flexibleServers/mysql-chat/firewallRules/deployment-hook";
const OPEN =
  "az deployment group create --resource-group rg-chat --name mysql-firewall-rule --template-file infra/hooks/firewallRule.bicep --parameters serverName=mysql-chat ruleName=deployment-hook address=203.0.113.7 --output none --only-show-errors";
const show = (name: string): string =>
  `az keyvault secret show --vault-name kv-chat --name ${name} --query value --output tsv --only-show-errors`;
const CLOSE = `az resource delete --ids ${RULE} --api-version 2024-12-30 --only-show-errors`;

/** What a vault says that is closed to this network. */
const CLOSED =
  "ERROR: (Forbidden) Public network access is disabled and request is not from a trusted service nor via an approved private link.";

const secrets = (appUrl: string): Answer[] => [
  { when: show("mysql-admin-password"), prints: "chat" },
  { when: show("mysql-url"), prints: appUrl },
];

/** The app's address of a database, with the options that this server's own address has. */
function appUrl(database: string, password = "N-4f1d-secret"): string {
  const url = new URL(mysql.url);
  [url.username, url.password, url.pathname] = ["chat_app", password, `/${database}`];
  return url.href;
}

async function query(url: string, sql: string): Promise<RowDataPacket[]> {
  const connection = await createConnection(url);
  try {
    return (await connection.query<RowDataPacket[]>(sql))[0];
  } finally {
    await connection.end();
  }
}

test("the hook lets this machine in, makes the tables and the app's user, and closes the firewall", async () => {
  const url = appUrl("fresh");
  const { code, said, calls } = await azure.run("postprovision", { env: OUTPUTS, answers: secrets(url) });
  expect(said).toContain("mysql: applied 0001_rooms_and_messages.sql, ");
  expect([code, calls]).toEqual([0, [OPEN, show("mysql-admin-password"), show("mysql-url"), CLOSE]]);
  expect(said).not.toContain("N-4f1d-secret");

  expect((await query(url, "SELECT COUNT(*) AS number FROM rooms"))[0]).toEqual({ number: 0 });
  const grants = (await query(url, "SHOW GRANTS")).map((row) => Object.values(row).join());
  expect(grants.filter((grant) => !grant.includes("GRANT USAGE ON *.*"))).toEqual([
    "GRANT SELECT, INSERT, UPDATE, DELETE ON `fresh`.* TO `chat_app`@`%`",
  ]);
  await expect(query(url, "CREATE TABLE more (id INT PRIMARY KEY)")).rejects.toThrow(/denied/);
  await expect(query(url, "DROP TABLE rooms")).rejects.toThrow(/denied/);
});

test("run again it changes nothing, and a new password in Key Vault becomes the user's", async () => {
  await azure.run("postprovision", { env: OUTPUTS, answers: secrets(appUrl("again")) });
  const url = appUrl("again", "N-new%25-secret");
  const { code, said } = await azure.run("predeploy", { env: OUTPUTS, answers: secrets(url) });
  expect([code, said]).toEqual([0, expect.stringContaining("mysql: the tables are up to date")]);
  expect((await query(url, "SELECT 1 AS one"))[0]).toEqual({ one: 1 });
  await expect(query(appUrl("again"), "SELECT 1 AS one")).rejects.toThrow(/denied/);
});

test("the firewall is closed also when a secret can't be read", async () => {
  const answers = [{ when: "az keyvault", says: "ERROR: SecretNotFound", exit: 3 }];
  const { code, said, calls } = await azure.run("postprovision", { env: OUTPUTS, answers });
  expect([code, calls]).toEqual([1, [OPEN, show("mysql-admin-password"), CLOSE]]);
  expect(said).toContain(
    "hook: postprovision failed: az keyvault secret show failed (3): ERROR: SecretNotFound",
  );
});

test("the firewall is closed also when opening it fails half way", async () => {
  const answers = [{ when: "az deployment", says: "ERROR: InvalidParameter", exit: 1 }];
  const { code, calls } = await azure.run("postprovision", { env: OUTPUTS, answers });
  expect([code, calls]).toEqual([1, [OPEN, CLOSE]]);
});

test("the firewall is closed also when the database refuses", async () => {
  const answers = [{ when: show("mysql-admin-password"), prints: "wrong" }, ...secrets(appUrl("refused"))];
  const { code, said, calls } = await azure.run("predeploy", { env: OUTPUTS, answers });
  expect([code, calls.at(-1)]).toEqual([1, CLOSE]);
  expect(said).toMatch(/predeploy failed: Error: Access denied for user 'chat'|Access denied/);
});

test.each(["SIGINT", "SIGTERM"] as const)("the firewall is closed also after %s", async (name) => {
  const answers = [{ when: "az keyvault", hangs: true }];
  const signal = { name, at: "az keyvault" };
  const { code, said, calls } = await azure.run("predeploy", { env: OUTPUTS, answers, signal });
  expect([code, calls.at(-1)]).toEqual([1, CLOSE]);
  expect(said).toContain(`predeploy failed: stopped by ${name}`);
});

test("a rule that can't be removed is named, beside what had failed before", async () => {
  const answers = [
    { when: "az keyvault", says: "ERROR: SecretNotFound", exit: 3 },
    { when: "az resource delete", says: "ERROR: Conflict", exit: 1 },
  ];
  const { code, said } = await azure.run("predeploy", { env: OUTPUTS, answers });
  expect(code).toBe(1);
  expect(said).toContain("SecretNotFound");
  expect(said).toContain(
    "And the firewall rule deployment-hook of mysql-chat is still there, remove it by hand",
  );
});

test("a rule that was never there counts as removed", async () => {
  const answers = [
    ...secrets(appUrl("gone")),
    { when: "az resource delete", says: "ERROR: (ResourceNotFound) The Resource was not found.", exit: 3 },
  ];
  expect((await azure.run("predeploy", { env: OUTPUTS, answers })).code).toBe(0);
});

test("in a private network no firewall is touched, and what has to be done inside is said", async () => {
  const env = { ...OUTPUTS, AZURE_NETWORK: "private" };
  const answers = [{ when: "az keyvault", says: CLOSED, exit: 1 }];
  const before = await azure.run("predeploy", { env, answers });
  expect([before.code, before.calls]).toEqual([1, [show("mysql-admin-password")]]);
  expect(before.said).toContain("azd hooks run predeploy --service api");
  const after = await azure.run("postprovision", { env, answers });
  expect([after.code, after.said]).toEqual([0, before.said.replace("predeploy failed: ", "")]);
  const skipped = await azure.run("predeploy", { env: { ...env, SKIP_DATABASE: "true" }, answers });
  expect([skipped.code, skipped.calls]).toEqual([0, []]);
});

test("a firewall that the server is too busy for is tried again, and closed again, a bounded number of times", async () => {
  const answers = [
    { when: "az deployment", says: "ERROR: (ServerIsBusy) Cannot complete operation", exit: 1, times: 2 },
    { when: "az resource delete", says: "ERROR: (OperationInProgress)", exit: 1, times: 1 },
    ...secrets(appUrl("busy")),
  ];
  const env = { ...OUTPUTS, HOOK_PAUSE_MS: "1" };
  const { code, calls } = await azure.run("predeploy", { env, answers });
  const [read, address] = [show("mysql-admin-password"), show("mysql-url")];
  expect([code, calls]).toEqual([0, [OPEN, OPEN, OPEN, read, address, CLOSE, CLOSE]]);
  const always = answers.map(({ times: _, ...answer }: Answer) => answer);
  const failed = await azure.run("predeploy", { env, answers: always });
  expect(failed.code).toBe(1);
  expect(failed.calls.filter((line) => line === OPEN)).toHaveLength(10);
  expect(failed.calls.filter((line) => line === CLOSE)).toHaveLength(10);
});

test("a role that doesn't count yet is waited for", async () => {
  const answers = [
    { when: "az keyvault", says: "ERROR: (Forbidden) Caller is not authorized", exit: 1, times: 1 },
    ...secrets(appUrl("role")),
  ];
  const { code, said } = await azure.run("predeploy", { env: { ...OUTPUTS, HOOK_PAUSE_MS: "1" }, answers });
  expect([code, said]).toEqual([0, expect.stringContaining("the secret mysql-admin-password: not yet")]);
});

test("inside a private network the same is done", async () => {
  const env = { ...OUTPUTS, AZURE_NETWORK: "private" };
  const { code, calls } = await azure.run("predeploy", { env, answers: secrets(appUrl("inside")) });
  expect([code, calls]).toEqual([0, [show("mysql-admin-password"), show("mysql-url")]]);
  expect((await query(appUrl("inside"), "SELECT COUNT(*) AS number FROM rooms"))[0]).toEqual({ number: 0 });
});

test("what azd has not told is named, all of it", async () => {
  const { AZURE_RESOURCE_GROUP: _, AZURE_MYSQL_SERVER_NAME: __, ...env } = OUTPUTS;
  const { code, said, calls } = await azure.run("postprovision", { env });
  expect([code, calls]).toEqual([1, []]);
  expect(said).toContain("not set: AZURE_RESOURCE_GROUP, AZURE_MYSQL_SERVER_NAME.");
});

test("an address of this machine that is none is refused before anything is done", async () => {
  const { code, said, calls } = await azure.run("predeploy", { env: { ...OUTPUTS, DEPLOYER_IP: "<html>" } });
  expect([code, calls]).toEqual([1, []]);
  expect(said).toContain("<html> is no IPv4 address: set DEPLOYER_IP to this machine's public one");
});

// Only Azure's own server has these users, so the statements alone can be tested.
test("in Entra mode the user is the app's identity, by its client id", () => {
  const clientId = "1b4f5a3e-0000-4000-8000-000000000001";
  expect(userStatements({ user: "chat_app", clientId, database: "chat" })).toEqual([
    ["SET aad_auth_validate_oids_in_tenant = OFF", []],
    ["CREATE AADUSER ? IDENTIFIED BY ?", ["chat_app", clientId]],
    ["GRANT SELECT, INSERT, UPDATE, DELETE ON ??.* TO ?@'%'", ["chat", "chat_app"]],
    ["FLUSH PRIVILEGES", []],
  ]);
});

test("in Entra mode the administrator's token is asked for, and no secret", async () => {
  const env = {
    ...OUTPUTS,
    AZURE_MYSQL_MODE: "entra",
    AZURE_MYSQL_HOST: "mysql-chat.invalid",
    AZURE_MYSQL_DATABASE: "chat",
    AZURE_APP_CLIENT_ID: "1b4f5a3e-0000-4000-8000-000000000001",
    AZURE_NETWORK: "private",
  };
  const { code, calls } = await azure.run("predeploy", {
    env,
    answers: [{ when: "az account", prints: "token" }],
  });
  // There is no such host.
  expect([code, calls]).toEqual([
    1,
    [
      "az account get-access-token --resource-type oss-rdbms --query accessToken --output tsv --only-show-errors",
    ],
  ]);
});
