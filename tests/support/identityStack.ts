import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import { parseHubs } from "../../local/eventHubs/hubs.js";
import { start as startEventHubs } from "../../local/eventHubs/server.js";
import { freePort, LOOPBACK } from "../../local/ports.js";
import { type Child, startChild } from "../../local/services/child.js";
import { projectRoot } from "../../local/settings.js";
import { built } from "../../local/stackServers.js";
import { start as startWebPubSub } from "../../local/webPubSub/server.js";
import { makeAuthority, startTlsFront } from "./certificates.js";
import { newDatabase } from "./database.js";
import { startMySqlEntra } from "./mysqlEntra.js";
import { letInTokensOf, startExpiringProxy } from "./redisEntra.js";
import { startRedisServer } from "./redisServer.js";
import type { Addresses } from "./stack.js";
import { CLIENT_ID, startTokenEndpoint, type TokenEndpoint } from "./tokenEndpoint.js";

/** The upstream calls' identity, which is another one than the app's. */
const UPSTREAM = {
  audience: "api://AzureADTokenExchange",
  objectId: "5e1f0000-0000-4000-8000-000000000001",
  identityHeader: "of the socket service",
};

/** The app as it is deployed: nothing that it uses takes a password or a key from it. */
export interface IdentityStack {
  readonly addresses: Addresses;
  readonly endpoint: TokenEndpoint;
  /** How many connections each service has taken. */
  readonly taken: () => Readonly<Record<"mysql" | "redis" | "eventHubs", number>>;
  /** Breaks every connection of the app to a service. */
  cut(): void;
  /** What the app's processes have written. */
  readonly output: () => string;
  close(): Promise<void>;
}

/**
 * Starts the app on services that take its Entra tokens alone, over TLS that a private authority certifies.
 * MySQL and the blob storage are the shared stack's, behind what checks the tokens.
 */
export async function startIdentityStack(lifetimeMs: number): Promise<IdentityStack> {
  const closing: (() => unknown)[] = [];
  const closed = <T extends { close(): unknown }>(one: T): T => {
    closing.unshift(() => one.close());
    return one;
  };
  const authority = closed(await makeAuthority());
  const certificate = await authority.certify("localhost");
  const endpoint = closed(await startTokenEndpoint(lifetimeMs));
  const database = closed(await newDatabase(10_000));
  const mysql = closed(await startMySqlEntra(database.url, certificate, endpoint));
  const redis = closed(await startRedisServer());
  closed(await letInTokensOf(endpoint, [redis.url]));
  const expiring = closed(await startExpiringProxy(endpoint, redis.port));
  const redisFront = closed(await startTlsFront(certificate, expiring.port));
  const folder = mkdtempSync(join(tmpdir(), "nonstop-identity-"));
  closing.push(() => rmSync(folder, { recursive: true, force: true }));
  const hubs = parseHubs(JSON.parse(readFileSync(join(projectRoot, "local/hubs.json"), "utf8")));
  const { issuer, jwksUri } = endpoint;
  const eventHubs = closed(
    await startEventHubs({ port: 0, data: folder, hubs, keys: {}, entra: { issuer, jwksUri } }),
  );
  const hubsFront = closed(await startTlsFront(certificate, eventHubs.port));
  const apiPort = await freePort();
  const api = `http://${LOOPBACK}:${apiPort}`;
  const webPubSub = closed(await startSocketService(api, issuer));
  const service = `http://${LOOPBACK}:${webPubSub.port}`;
  endpoint.elsewhere = {
    audience: "https://webpubsub.azure.com",
    url: `${service}/identity/token`,
    header: UPSTREAM.identityHeader,
  };
  const shared = inject("stack");
  const logFile = join(folder, "functionsHost.log");
  const settings = {
    ...endpoint.env,
    NODE_EXTRA_CA_CERTS: authority.file,
    AzureWebJobsStorage: shared.storage,
    AzureFunctionsWebHost__hostid: `identity-${process.pid}`,
    // Tokens are a matter of Azure: this app is on Event Hubs, whatever bus the other tests run on.
    EVENT_BUS: "eventhubs",
    EVENT_HUBS_CONNECTION: "",
    EVENT_HUBS_CONNECTION__fullyQualifiedNamespace: `localhost:${hubsFront.port}`,
    EVENT_HUBS_CONNECTION__credential: "managedidentity",
    EVENT_HUBS_CONNECTION__clientId: CLIENT_ID,
    MYSQL_URL: `mysql://nonstop-app@localhost:${mysql.port}${new URL(database.url).pathname}`,
    MYSQL_ENTRA: "true",
    MYSQL_POOL_SIZE: "6",
    REDIS_URL: `rediss://localhost:${redisFront.port}`,
    REDIS_ENTRA: "true",
    WEB_PUBSUB_CONNECTION: `Endpoint=${service};Version=1.0;`,
    WEB_PUBSUB_ENTRA_ISSUER: issuer,
    WEB_PUBSUB_ENTRA_AUDIENCE: UPSTREAM.audience,
    WEB_PUBSUB_ENTRA_OBJECT_ID: UPSTREAM.objectId,
    WEB_PUBSUB_ENTRA_JWKS_URI: `${service}/identity/keys`,
  };
  const app = await startApp(apiPort, settings, logFile);
  closing.unshift(() => app.stop());
  return {
    addresses: {
      ...shared,
      api,
      webPubSub: `ws://${LOOPBACK}:${webPubSub.port}/client/hubs/chat`,
      mysql: database.url,
      redis: redis.url,
    },
    endpoint,
    taken: () => ({ mysql: mysql.tokens.length, redis: redisFront.taken, eventHubs: hubsFront.taken }),
    cut() {
      for (const front of [mysql, redisFront, hubsFront]) front.cut();
    },
    output: () => readFileSync(logFile, "utf8"),
    async close() {
      for (const close of closing) await close();
    },
  };
}

const startSocketService = (api: string, issuer: string) =>
  startWebPubSub({
    config: {
      disableLocalAuth: true,
      managedIdentity: { ...UPSTREAM, issuer },
      hubs: {
        chat: {
          anonymousConnectPolicy: "allow",
          eventHandlers: [
            {
              urlTemplate: `${api}/api/v1/chat/upstream/{event}`,
              userEventPattern: "*",
              systemEvents: ["connect", "connected", "disconnected"],
            },
          ],
        },
      },
    },
  });

/** The built app under our own host, both of its processes. */
const startApp = (port: number, env: Readonly<Record<string, string>>, logFile: string): Promise<Child> =>
  startChild({
    name: "functionsHost",
    program: built("local/functionsHost/main.js"),
    wrapped: false,
    args: ["--app", projectRoot, "--split", "--port", String(port), "--exit-with-stdin"],
    env,
    logFile,
    startTimeoutMs: 300_000,
    stopTimeoutMs: 20_000,
  });
