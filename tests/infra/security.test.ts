import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { LITERALS, LOG_CATEGORIES, NAMES } from "./azureNames.js";
import { at, ofType, SIZES, snapshotOf, textsOf, theOnly } from "./snapshots.js";

/** Expressions that stand for a secret, and texts that would be one. */
const SECRET =
  /newGuid\(|getKeyVaultSecret|getSecret|list(Keys|Secrets|AccountSas|ServiceSas|Keys\w*)\(|parameters\('|AccountKey=|AccessKey=|SharedAccessKey=|\/\/[^/:@\s]+:[^/@\s]+@/i;

/** The only places that a secret may stand in. */
const KEPT_IN: readonly string[] = [
  "Microsoft.KeyVault/vaults/secrets/properties/value",
  "Microsoft.DBforMySQL/flexibleServers/properties/administratorLoginPassword",
];

const OUTPUTS: readonly string[] = [
  "AZURE_APP_CLIENT_ID",
  "AZURE_APP_IDENTITY_NAME",
  "AZURE_EVENT_HUBS_NAMESPACE",
  "AZURE_FUNCTION_APP_NAME",
  "AZURE_FUNCTION_APP_URL",
  "AZURE_KEY_VAULT_NAME",
  "AZURE_LOCATION",
  "AZURE_MYSQL_ADMIN_USER",
  "AZURE_MYSQL_APP_USER",
  "AZURE_MYSQL_DATABASE",
  "AZURE_MYSQL_HOST",
  "AZURE_MYSQL_MODE",
  "AZURE_MYSQL_PASSWORD_SECRET_NAME",
  "AZURE_MYSQL_SERVER_NAME",
  "AZURE_MYSQL_URL_SECRET_NAME",
  "AZURE_NETWORK",
  "AZURE_RESOURCE_GROUP",
  "AZURE_STORAGE_ACCOUNT_NAME",
  "AZURE_TENANT_ID",
  "AZURE_UPSTREAM_AUDIENCE",
  "AZURE_WEB_PUBSUB_HOST",
  "AZURE_WEB_PUBSUB_NAME",
];

/** Where a service could be used without an identity, and what forbids it. */
const IDENTITY_ALONE: readonly (readonly [type: string, path: string, value: unknown])[] = [
  ["Microsoft.Storage/storageAccounts", "properties/allowSharedKeyAccess", false],
  ["Microsoft.Storage/storageAccounts", "properties/allowBlobPublicAccess", false],
  ["Microsoft.EventHub/namespaces", "properties/disableLocalAuth", true],
  ["Microsoft.SignalRService/webPubSub", "properties/disableLocalAuth", true],
  ["Microsoft.Cache/redisEnterprise/databases", "properties/accessKeysAuthentication", "Disabled"],
  ["Microsoft.Insights/components", "properties/DisableLocalAuth", true],
  ["Microsoft.OperationalInsights/workspaces", "properties/features/disableLocalAuth", true],
  ["Microsoft.Web/sites/basicPublishingCredentialsPolicies", "properties/allow", false],
  ["Microsoft.Web/sites", "properties/httpsOnly", true],
  ["Microsoft.Web/sites", "properties/functionsRuntimeAdminIsolationEnabled", true],
];

describe.each(SIZES)("%s", (size) => {
  const snapshot = snapshotOf(size);

  test("puts out these names, and no secret", () => {
    expect(Object.keys(snapshot.outputs).sort()).toEqual([...OUTPUTS]);
    expect(textsOf(snapshot.outputs).filter(([, text]) => SECRET.test(text))).toEqual([]);
  });

  test("has no secret but in Key Vault, and for the database server's making", () => {
    const secrets = snapshot.predictedResources.flatMap((resource) =>
      textsOf(resource)
        .filter(([, text]) => SECRET.test(text))
        .map(([path]) => `${resource.type}${path}`),
    );
    expect([...new Set(secrets)].sort()).toEqual([...KEPT_IN].filter(usedIn(size)).sort());
  });

  test.each(IDENTITY_ALONE)("is used by identities alone: %s %s", (type, path, value) => {
    const resources = ofType(snapshot, type);
    expect(resources.length).toBeGreaterThan(0);
    for (const resource of resources) expect(at(resource, ...path.split("/"))).toBe(value);
  });

  test.each(LITERALS)("has a value that there is: %s %s", (type, path, allowed) => {
    const values = ofType(snapshot, type).map((resource) => at(resource, ...path.split("/")));
    if (type !== "Microsoft.KeyVault/vaults") expect(values.length).toBeGreaterThan(0);
    expect(values.filter((value) => !allowed.includes(value))).toEqual([]);
  });

  test("has names that the services take", () => {
    const wrong = snapshot.predictedResources.filter(
      ({ type, name }) => NAMES[type] && !NAMES[type].test(name),
    );
    expect(wrong.map(({ type, name }) => `${type} ${name}`)).toEqual([]);
    // Every kind of resource whose name is a host's, or has a limit that is easily passed.
    expect(Object.keys(NAMES).filter((type) => ofType(snapshot, type).length === 0)).toEqual(MISSING[size]);
  });

  test("logs what there is to log, of every service", () => {
    const settings = ofType(snapshot, "Microsoft.Insights/diagnosticSettings");
    const types = settings.map(({ id }) => typeOfTarget(id));
    const wanted = Object.keys(LOG_CATEGORIES).filter((type) => ofType(snapshot, type).length > 0);
    expect([...types].sort()).toEqual(wanted.sort());
    for (const { id, properties } of settings) {
      const logs = at(properties, "logs") ?? [];
      const known = LOG_CATEGORIES[typeOfTarget(id)] ?? [];
      const named = textsOf(logs).map(([, text]) => text);
      expect(named.filter((name) => !known.includes(name))).toEqual([]);
      expect(at(properties, "workspaceId")).toBe(
        theOnly(snapshot, "Microsoft.OperationalInsights/workspaces").id,
      );
    }
  });

  test("demands TLS of the database server", () => {
    const values = ofType(snapshot, "Microsoft.DBforMySQL/flexibleServers/configurations").map(
      ({ name, properties }) => [name.split("/")[1], at(properties, "value")],
    );
    // Only what the server takes at once: another parameter would wait for a restart.
    expect(Object.fromEntries(values)).toEqual({
      long_query_time: "2",
      slow_query_log: "ON",
      require_secure_transport: "ON",
      ...(size === "prod" ? { aad_auth_only: "ON" } : {}),
    });
  });
});

/** In Entra mode there is no vault. */
const usedIn = (size: string) => (place: string) => size === "dev" || !place.includes("KeyVault");

const MISSING = {
  dev: [
    "Microsoft.Network/virtualNetworks",
    "Microsoft.Network/publicIPAddresses",
    "Microsoft.Network/natGateways",
    "Microsoft.Network/networkSecurityGroups",
    "Microsoft.Network/privateEndpoints",
  ],
  prod: ["Microsoft.KeyVault/vaults"],
};

/** The type of what a diagnostic setting is about, from the setting's id. */
function typeOfTarget(id: string): string {
  const parts = id.split("/providers/").at(-2)?.split("/") ?? [];
  return [parts[0], ...parts.filter((_, index) => index % 2 === 1)].join("/");
}

describe("in a private network", () => {
  const snapshot = snapshotOf("prod");

  test.each([
    ["Microsoft.Storage/storageAccounts", "properties/publicNetworkAccess"],
    ["Microsoft.EventHub/namespaces", "properties/publicNetworkAccess"],
    ["Microsoft.DBforMySQL/flexibleServers", "properties/network/publicNetworkAccess"],
    ["Microsoft.Cache/redisEnterprise", "properties/publicNetworkAccess"],
  ])("%s is not reached from outside", (type, path) => {
    expect(at(theOnly(snapshot, type), ...path.split("/"))).toBe("Disabled");
  });

  test("Web PubSub lets only clients in from outside", () => {
    expect(at(theOnly(snapshot, "Microsoft.SignalRService/webPubSub"), "properties", "networkACLs")).toEqual({
      defaultAction: "Allow",
      publicNetwork: { deny: ["ServerConnection", "RESTAPI", "Trace"] },
    });
  });

  test("every service has an endpoint, and a zone that leads to it", () => {
    const zones = new Map(
      ofType(snapshot, "Microsoft.Network/privateEndpoints").map((endpoint) => {
        const [connection] = [at(endpoint, "properties", "privateLinkServiceConnections", "0")];
        const groups = at(connection, "properties", "groupIds", "0");
        const target = String(at(connection, "properties", "privateLinkServiceId"));
        return [groups, target.split("/").slice(-3, -1).join("/")];
      }),
    );
    expect(Object.fromEntries(zones)).toEqual({
      blob: "Microsoft.Storage/storageAccounts",
      table: "Microsoft.Storage/storageAccounts",
      namespace: "Microsoft.EventHub/namespaces",
      webpubsub: "Microsoft.SignalRService/webPubSub",
      mysqlServer: "Microsoft.DBforMySQL/flexibleServers",
      redisEnterprise: "Microsoft.Cache/redisEnterprise",
    });
    expect(ofType(snapshot, "Microsoft.Network/privateEndpoints/privateDnsZoneGroups")).toHaveLength(6);
    const names = ofType(snapshot, "Microsoft.Network/privateDnsZones").map(({ name }) =>
      name.replace(/^\[format\('([^{]*)\{0\}'.*$/, "$1SUFFIX"),
    );
    expect(names.sort()).toEqual([
      "privatelink.blob.SUFFIX",
      "privatelink.mysql.database.azure.com",
      "privatelink.redis.azure.net",
      "privatelink.servicebus.windows.net",
      "privatelink.table.SUFFIX",
      "privatelink.webpubsub.azure.com",
    ]);
  });

  test("the app calls from a subnet that is given to Functions, and no rule lets all of Azure in", () => {
    const subnet = at(theOnly(snapshot, "Microsoft.Network/virtualNetworks"), "properties", "subnets", "0");
    expect(at(subnet, "properties", "delegations", "0", "properties", "serviceName")).toBe(
      "Microsoft.App/environments",
    );
    expect(at(theOnly(snapshot, "Microsoft.Web/sites"), "properties", "virtualNetworkSubnetId")).toMatch(
      /\/subnets\/app$/,
    );
    expect(ofType(snapshot, "Microsoft.DBforMySQL/flexibleServers/firewallRules")).toEqual([]);
  });

  test("the app reaches the internet by one address that stays, and no subnet by chance", () => {
    const subnets = at(theOnly(snapshot, "Microsoft.Network/virtualNetworks"), "properties", "subnets");
    const gateway = theOnly(snapshot, "Microsoft.Network/natGateways");
    const address = theOnly(snapshot, "Microsoft.Network/publicIPAddresses");
    expect(at(subnets, "0", "properties", "natGateway", "id")).toBe(gateway.id);
    expect(at(gateway, "properties", "publicIpAddresses", "0", "id")).toBe(address.id);
    expect(at(address, "properties", "publicIPAllocationMethod")).toBe("Static");
    // A gateway takes no address of the basic kind.
    expect([gateway.sku, address.sku]).toEqual([{ name: "Standard" }, { name: "Standard" }]);
    for (const index of ["0", "1"])
      expect(at(subnets, index, "properties", "defaultOutboundAccess")).toBe(false);
  });
});

// The compiler's own rule finds secrets in a JSON of parameters, not in a .bicepparam.
test("no parameter file has a value for a secret", () => {
  const main = readFileSync("infra/main.bicep", "utf8");
  const secure = [...main.matchAll(/@secure\(\)\s+param (\w+)/g)].map(([, name]) => name);
  expect(secure).toEqual(["adminSeed", "appSeed"]);
  for (const file of readdirSync("infra").filter((name) => name.endsWith(".bicepparam")))
    for (const name of secure)
      expect(readFileSync(`infra/${file}`, "utf8"), file).not.toMatch(new RegExp(`^param ${name}\\b`, "m"));
});

test("the app's address is written once, and left as it is by later deployments", () => {
  const secrets = readFileSync("infra/modules/keyVault.bicep", "utf8").matchAll(
    /(.*)\nresource (\w+) 'Microsoft\.KeyVault\/vaults\/secrets@/g,
  );
  expect([...secrets].map(([, decorator, name]) => [name, decorator])).toEqual([
    ["url", "@onlyIfNotExists()"],
  ]);
});

// The service looks for what getSecret names before anything is made, so that a first deployment would fail.
test("no template reads a secret, and server and vault get the administrator's password together", () => {
  const sources = readdirSync("infra", { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".bicep"))
    .map((name) => readFileSync(`infra/${name}`, "utf8"));
  expect(sources.filter((source) => source.includes("getSecret("))).toEqual([]);
  const dev = snapshotOf("dev");
  const kept = ofType(dev, "Microsoft.KeyVault/vaults/secrets").map(({ name, properties }) => [
    name.split("/")[1],
    at(properties, "value"),
  ]);
  const server = theOnly(dev, "Microsoft.DBforMySQL/flexibleServers");
  const ofServer = at(server, "properties", "administratorLoginPassword");
  expect(ofServer).toMatch(/^\[format\('N\{0\}', /);
  expect(Object.fromEntries(kept)["mysql-admin-password"]).toBe(ofServer);
  // Every deployment writes it, and none before the server has it.
  expect(readFileSync("infra/modules/mysql.bicep", "utf8")).toMatch(
    /\n\nresource password 'Microsoft\.KeyVault\/vaults\/secrets@[^}]*\}[^}]*dependsOn: \[server\]/,
  );
});
