import { describe, expect, test } from "vitest";
import { readConfig } from "../../shared/config.js";
import { settingNames } from "../../shared/settings.js";
import { REFUSED_ON_FLEX } from "./azureNames.js";
import { SIZES, type Size, settingsOf, snapshotOf } from "./snapshots.js";

/** Settings of the app that no deployment has, each with its reason. */
const ABSENT: Readonly<Record<string, string>> = {
  WEB_PUBSUB_SECONDARY_KEY: "Web PubSub takes no access key.",
  EVENT_HUBS_CONNECTION: "Event Hubs takes no shared access key.",
  EVENT_BUS: "Event Hubs are spoken to by AMQP, which is the default.",
  EVENT_TRIGGER: "The Event Hub trigger is the default.",
  ...Object.fromEntries(
    ["BROKERS", "SECURITY_PROTOCOL", "SASL_MECHANISM", "USERNAME", "PASSWORD"].map((name) => [
      `KAFKA_${name}`,
      "No Kafka is deployed.",
    ]),
  ),
  AUTH_JWT_SECRET: "A secret of clients' tokens is for local use.",
};

/** Settings of the Functions host and of its telemetry. */
const HOST: readonly string[] = [
  "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
  "APPLICATIONINSIGHTS_CONNECTION_STRING",
  "AzureFunctionsJobHost__telemetryMode",
  "AzureWebJobsStorage__blobServiceUri",
  "AzureWebJobsStorage__clientId",
  "AzureWebJobsStorage__credential",
  "AzureWebJobsStorage__tableServiceUri",
];

const IDENTITY = "11111111-2222-3333-4444-555555555555";
/** One identity everywhere: the host's, the trigger's, the code's. */
const CLIENT_ID = /^\[reference\('[^']*\/id-app-\w+', '[^']+'\)\.clientId\]$/;
const REDIS = "rediss://redis-test.koreacentral.redis.azure.net:10000";
const DIRECTORY = "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000002";

const LOGIN =
  "format('{0}{1}', environment().authentication.loginEndpoint, '00000000-0000-0000-0000-000000000002')";

/** What only the deployment knows: by what expression, and what it may be. */
const KNOWN_LATER: Readonly<Record<string, readonly [expression: RegExp | string, value: string]>> = {
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: [
    /^\[format\('ClientId=\{0\};Authorization=AAD', reference\('.*\/id-app-\w+', '[^']+'\)\.clientId\)\]$/,
    `ClientId=${IDENTITY};Authorization=AAD`,
  ],
  APPLICATIONINSIGHTS_CONNECTION_STRING: [
    /^\[reference\('.*\/components\/appi-\w+', '[^']+'\)\.ConnectionString\]$/,
    "InstrumentationKey=00000000-0000-0000-0000-000000000003",
  ],
  AZURE_CLIENT_ID: [CLIENT_ID, IDENTITY],
  AzureWebJobsStorage__blobServiceUri: [
    /^\[reference\('.*\/st\w+', '[^']+'\)\.primaryEndpoints\.blob\]$/,
    "https://st.blob.core.windows.net/",
  ],
  AzureWebJobsStorage__clientId: [CLIENT_ID, IDENTITY],
  AzureWebJobsStorage__tableServiceUri: [
    /^\[reference\('.*\/st\w+', '[^']+'\)\.primaryEndpoints\.table\]$/,
    "https://st.table.core.windows.net/",
  ],
  EVENT_HUBS_CONNECTION__clientId: [CLIENT_ID, IDENTITY],
  REDIS_URL: [
    /^\[format\('rediss:\/\/\{0\}:10000', reference\('.*\/redis-\w+', '[^']+'\)\.hostName\)\]$/,
    REDIS,
  ],
  // Tokens of applications that Microsoft itself registers are of version 2.0.
  WEB_PUBSUB_ENTRA_ISSUER: [`[format('{0}/v2.0', ${LOGIN})]`, `${DIRECTORY}/v2.0`],
  WEB_PUBSUB_ENTRA_JWKS_URI: [
    `[format('{0}/discovery/v2.0/keys', ${LOGIN})]`,
    `${DIRECTORY}/discovery/v2.0/keys`,
  ],
  WEB_PUBSUB_ENTRA_OBJECT_ID: [
    /^\[reference\('.*\/wps-\w+', '[^']+', 'full'\)\.identity\.principalId\]$/,
    "66666666-7777-8888-9999-000000000000",
  ],
};

/** What the platform puts in for a reference to Key Vault. */
const KEPT: Readonly<Record<string, string>> = {
  "@Microsoft.KeyVault(VaultName=kv-ypaeil7uhnej2;SecretName=mysql-url)":
    "mysql://chat_app:Nsecret@mysql-ypaeil7uhnej2.mysql.database.azure.com:3306/chat",
};

/** The settings as the app finds them. */
const asDeployed = (settings: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [
      name,
      value.startsWith("[") ? (KNOWN_LATER[name]?.[1] ?? value) : (KEPT[value] ?? value),
    ]),
  );

describe.each(SIZES)("the app settings of %s", (size) => {
  const settings = settingsOf(snapshotOf(size));

  test("are all that the app and its host read, and no other", () => {
    const wanted = [...settingNames.filter((name) => !(name in ABSENT)), ...HOST];
    expect(Object.keys(settings).sort()).toEqual(wanted.sort());
  });

  test("leave out only what the app knows", () => {
    expect(Object.keys(ABSENT).filter((name) => !settingNames.includes(name))).toEqual([]);
  });

  test("are known before the deployment, but for what the services make", () => {
    const later = Object.keys(settings).filter((name) => settings[name]?.startsWith("["));
    expect(later.sort()).toEqual(Object.keys(KNOWN_LATER).sort());
    for (const [name, [expression]] of Object.entries(KNOWN_LATER))
      if (typeof expression === "string") expect(settings[name]).toBe(expression);
      else expect(settings[name]).toMatch(expression);
  });

  test("are settings that the app starts with", () => {
    const { eventBus, mysql, redis, clientId, webPubSub } = readConfig(asDeployed(settings));
    expect(eventBus).toMatchObject({ kind: "entra" });
    expect(clientId).toBe(IDENTITY);
    expect(redis).toEqual({ urls: [REDIS], cluster: false, entra: true });
    expect(webPubSub).toMatchObject({
      accessKeys: [],
      entra: { issuer: `${DIRECTORY}/v2.0`, audience: "fb60f99c-7a34-4190-8149-302f77469936" },
    });
    expect(mysql).toEqual(MYSQL[size]);
  });

  test("limit users as usual", () => {
    const rest = Object.entries(asDeployed(settings)).filter(([name]) => !name.includes("LIMIT"));
    const usual = readConfig(Object.fromEntries(rest)).limits;
    expect(readConfig(asDeployed(settings)).limits).toEqual(usual);
  });

  test("are none that the plan refuses", () => {
    const refused = Object.keys(settings).filter((name) => REFUSED_ON_FLEX.some((each) => each.test(name)));
    expect(refused).toEqual([]);
  });
});

const MYSQL: Readonly<Record<Size, object>> = {
  dev: {
    url: "mysql://chat_app:Nsecret@mysql-ypaeil7uhnej2.mysql.database.azure.com:3306/chat",
    entra: false,
    poolSize: 4,
  },
  prod: {
    url: "mysql://chat_app@mysql-h5rrd2pvv25ym.mysql.database.azure.com:3306/chat",
    entra: true,
    poolSize: 8,
  },
};
