import { z } from "zod";
import { originOf } from "./platform/origins.js";

/** A Web PubSub resource, with or without a key. */
export const CONNECTION = /^Endpoint=(?<endpoint>https?:[^;]+);(?:(?:.*;)?AccessKey=(?<key>[^;]+))?/i;

/** HTTPS, because an attacker who can change the keys on their way can pose as any user. */
const isKeyUrl = (url: string): boolean =>
  URL.canParse(url) && /^https:|^http:\/\/(localhost|127\.0\.0\.1)[:/]/i.test(url);

const KeyUrl = z.string().refine(isKeyUrl, "must be https://HOST/PATH (http on this machine only)");

export const isRedisUrl = (url: string): boolean => URL.canParse(url) && /^rediss?:\/\/./.test(url);

const noOrigin = (entry: string): string =>
  "must be origins like https://chat.example.com or capacitor://localhost, separated by commas; " +
  `${JSON.stringify(entry)} is none`;

/** A setting for how many there may be in any 60 seconds. 0 is no limit. */
const limit = (usual: number) =>
  z
    .string()
    .regex(/^\d{1,6}$/, "must be a whole number, 0 for no limit")
    .default(String(usual))
    .transform(Number);

const flag = (usual: "true" | "false") => z.enum(["true", "false"], "must be true or false").default(usual);

const isBroker = (broker: string): boolean => {
  const port = /^(?:[a-z0-9](?:[\w.-]*[a-z0-9])?|\[[0-9a-f:]+\]):(\d{1,5})$/i.exec(broker)?.[1];
  return port !== undefined && Number(port) > 0 && Number(port) < 65_536;
};

/** NCRONTAB with its seconds; the host knows better what each field may hold. */
const SCHEDULE = /^[\d*/,-]+( [\w*/,-]+){5}$/;
const HOST = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?$/i;
const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const NO_GUID = "must be a client id like 1b4f5a3e-0000-4000-8000-000000000001";

/** What a process needs that uses the database alone. */
export const DatabaseSettings = z.object({
  MYSQL_URL: z.url({ protocol: /^mysql$/, error: "must be mysql://USER:PASSWORD@HOST:PORT/DATABASE" }),
  /** Whether this app's Entra token is the password. */
  MYSQL_ENTRA: flag("false"),
  /** Connections of a process. Instances times this must fit into what the server takes. */
  MYSQL_POOL_SIZE: z
    .string()
    .regex(/^([4-9]|[1-9]\d|1\d\d|200)$/, "must be a whole number from 4 to 200")
    .default("16")
    .transform(Number),
  /** The client id of the user-assigned managed identity that this app is. */
  AZURE_CLIENT_ID: z.string().regex(GUID, NO_GUID).optional(),
});

/** What a process needs that uses the event bus alone. */
export const BusSettings = z.object({
  /** What events are published on, and read again from. */
  EVENT_BUS: z.enum(["eventhubs", "kafka"], "must be eventhubs or kafka").default("eventhubs"),
  /** The trigger that hands events over: that of EVENT_BUS where it is not set. */
  EVENT_TRIGGER: z.enum(["eventhubs", "kafka"], "must be eventhubs or kafka, or not set").optional(),
  /** A namespace with a shared access key. */
  EVENT_HUBS_CONNECTION: z
    .string()
    .regex(/^Endpoint=sb:\/\//i, "must begin with Endpoint=sb://")
    .optional(),
  /** Or a namespace that this app may use by its identity, named as the Functions host wants it. */
  EVENT_HUBS_CONNECTION__fullyQualifiedNamespace: z
    .string()
    .regex(HOST, "must be a host name like NAME.servicebus.windows.net, without sb://")
    .optional(),
  /** For the host's trigger; the app itself goes by `AZURE_CLIENT_ID`, so both must be the same identity. */
  EVENT_HUBS_CONNECTION__credential: z
    .literal("managedidentity", "must be managedidentity, or not set")
    .optional(),
  EVENT_HUBS_CONNECTION__clientId: z.string().regex(GUID, NO_GUID).optional(),
  /** Brokers of Kafka, which name the others. Of Event Hubs: `NAME.servicebus.windows.net:9093`. */
  KAFKA_BROKERS: z
    .string()
    .transform((brokers) => brokers.split(",").map((broker) => broker.trim()))
    .refine((brokers) => brokers.every(isBroker), "must be HOST:PORT, several separated by commas")
    .optional(),
  /** As Kafka's clients call it (`security.protocol`). */
  KAFKA_SECURITY_PROTOCOL: z
    .enum(["PLAINTEXT", "SSL", "SASL_SSL"], "must be PLAINTEXT, SSL or SASL_SSL")
    .optional(),
  /** `OAUTHBEARER` is this app's Entra token. */
  KAFKA_SASL_MECHANISM: z.enum(["PLAIN", "OAUTHBEARER"], "must be PLAIN or OAUTHBEARER").optional(),
  /** Of Event Hubs: `$ConnectionString`, which counts where none is set. */
  KAFKA_USERNAME: z.string().optional(),
  /** Of Event Hubs: the connection string. */
  KAFKA_PASSWORD: z.string().optional(),
  /** The client id of the user-assigned managed identity that this app is. */
  AZURE_CLIENT_ID: z.string().regex(GUID, NO_GUID).optional(),
});

/** Each setting by itself. What goes together is in `settingRules.ts`. */
export const Settings = z.object({
  /**
   * The Web PubSub resource: `Endpoint=https://…;AccessKey=…;Version=1.0;`. A resource that takes only
   * Entra tokens has no key.
   */
  WEB_PUBSUB_CONNECTION: z
    .string()
    .regex(CONNECTION, "must look like Endpoint=https://NAME.webpubsub.azure.com;AccessKey=KEY;Version=1.0;"),
  /** The resource's other access key, so that keys can be rotated without refusing upstream calls. */
  WEB_PUBSUB_SECONDARY_KEY: z.string().optional(),
  /**
   * The tokens that the service's managed identity puts into upstream calls. All four are set, or none.
   * With them `ce-signature` does not count.
   */
  WEB_PUBSUB_ENTRA_ISSUER: z.string().optional(),
  WEB_PUBSUB_ENTRA_AUDIENCE: z.string().optional(),
  /** Claim `oid`. Other identities in the same directory get tokens for this audience, too. */
  WEB_PUBSUB_ENTRA_OBJECT_ID: z.string().optional(),
  WEB_PUBSUB_ENTRA_JWKS_URI: KeyUrl.optional(),
  ...BusSettings.omit({ AZURE_CLIENT_ID: true }).shape,
  ...DatabaseSettings.shape,
  /**
   * One node, or several nodes of a cluster, separated by commas. The client finds a cluster's other nodes.
   */
  REDIS_URL: z
    .string()
    .transform((urls) => urls.split(",").map((url) => url.trim()))
    .refine((urls) => urls.every(isRedisUrl), "must be redis://HOST:PORT or rediss://…"),
  REDIS_CLUSTER: flag("false"),
  /** Whether this app's Entra token is the password. The user is the identity's object id. */
  REDIS_ENTRA: flag("false"),
  AUTH_ISSUER: z.string().min(1),
  AUTH_AUDIENCE: z.string().min(1),
  /** An HS256 secret, for local use only. It does not count where AUTH_JWKS_URI is set. */
  AUTH_JWT_SECRET: z
    .string()
    .refine((secret) => Buffer.byteLength(secret) >= 32, "must have 32 bytes or more")
    .optional(),
  /** RS256, ES256 and EdDSA keys of the identity provider. */
  AUTH_JWKS_URI: KeyUrl.optional(),
  /**
   * Origins of the pages that may connect, separated by commas. Empty allows all. Clients other than
   * browsers send no origin.
   */
  ALLOWED_ORIGINS: z
    .string()
    .default("")
    .transform((origins, context) =>
      origins.split(",").flatMap((text) => {
        const entry = text.trim();
        const origin = originOf(entry);
        if (entry !== "" && origin === undefined)
          context.addIssue({ code: "custom", message: noOrigin(entry) });
        return origin ?? [];
      }),
    ),
  /** Live connections of a user. 0 is no limit. */
  SESSION_LIMIT: limit(3),
  /** Messages of a user, over all sessions. */
  RATE_LIMIT_PER_MINUTE: limit(60),
  RATE_LIMIT_READS_PER_MINUTE: limit(600),
  RATE_LIMIT_SUBSCRIBES_PER_MINUTE: limit(600),
  /** Negotiations, and tokens renewed. */
  RATE_LIMIT_NEGOTIATES_PER_MINUTE: limit(30),
  /** HTTP calls that change something. */
  RATE_LIMIT_WRITES_PER_MINUTE: limit(60),
  /** HTTP calls that change nothing. */
  RATE_LIMIT_LOOKUPS_PER_MINUTE: limit(600),
  RATE_LIMIT_UNSUBSCRIBES_PER_MINUTE: limit(600),
  /** Handshakes of new connections. */
  RATE_LIMIT_HANDSHAKES_PER_MINUTE: limit(120),
  /** WebSocket messages without a frame: heart-beats that the server didn't ask for. */
  RATE_LIMIT_EMPTY_MESSAGES_PER_MINUTE: limit(120),
  /** Pieces of frames that come in several WebSocket messages. */
  RATE_LIMIT_PIECES_PER_MINUTE: limit(1_200),
  /**
   * Whether clients that want heart-beats get one twice a minute. It costs one REST call for all, and a
   * message for each such client.
   */
  HEART_BEATS: flag("true"),
  /** Whether what is stored is audited every night, and whether that mends what can be derived. */
  AUDIT: z.enum(["off", "report", "repair"], "must be off, report or repair").default("report"),
  /** When, in UTC, as timers of Azure Functions have it. */
  AUDIT_SCHEDULE: z
    .string()
    .regex(SCHEDULE, "must be a schedule of six fields like 0 30 3 * * *")
    .default("0 30 3 * * *"),
});

const { WEB_PUBSUB_CONNECTION, REDIS_URL, REDIS_CLUSTER, REDIS_ENTRA } = Settings.shape;

/** What a process needs that audits what is stored. */
export const AuditSettings = z.object({
  WEB_PUBSUB_CONNECTION,
  ...DatabaseSettings.shape,
  REDIS_URL,
  REDIS_CLUSTER,
  REDIS_ENTRA,
});

/** Names of every setting the deployed code reads. */
export const settingNames: readonly string[] = Object.keys(Settings.shape);
