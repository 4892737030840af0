import { z } from "zod";
import { defined } from "./platform/defined.js";
import { originOf } from "./platform/origins.js";

const CONNECTION = /^Endpoint=(?<endpoint>https?:[^;]+);(?:(?:.*;)?AccessKey=(?<key>[^;]+))?/i;

/** HTTPS, because an attacker who can change the keys on their way can pose as any user. */
const isKeyUrl = (url: string): boolean =>
  URL.canParse(url) && /^https:|^http:\/\/(localhost|127\.0\.0\.1)[:/]/i.test(url);

const KeyUrl = z.string().refine(isKeyUrl, "must be https://HOST/PATH (http on this machine only)");

const isRedisUrl = (url: string): boolean => URL.canParse(url) && /^rediss?:\/\/./.test(url);

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

/**
 * With these settings an Entra token proves that an upstream call comes from Web PubSub, also without access
 * keys.
 */
const ENTRA = [
  "WEB_PUBSUB_ENTRA_ISSUER",
  "WEB_PUBSUB_ENTRA_AUDIENCE",
  "WEB_PUBSUB_ENTRA_OBJECT_ID",
  "WEB_PUBSUB_ENTRA_JWKS_URI",
] as const;

const Settings = z
  .object({
    /**
     * The Web PubSub resource: `Endpoint=https://…;AccessKey=…;Version=1.0;`. A resource that takes only
     * Entra tokens has no key.
     */
    WEB_PUBSUB_CONNECTION: z
      .string()
      .regex(
        CONNECTION,
        "must look like Endpoint=https://NAME.webpubsub.azure.com;AccessKey=KEY;Version=1.0;",
      ),
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
    EVENT_HUBS_CONNECTION: z.string().regex(/^Endpoint=sb:\/\//i, "must begin with Endpoint=sb://"),
    MYSQL_URL: z.url({ protocol: /^mysql$/, error: "must be mysql://USER:PASSWORD@HOST:PORT/DATABASE" }),
    /**
     * One node, or several nodes of a cluster, separated by commas. The client finds a cluster's other nodes.
     */
    REDIS_URL: z
      .string()
      .transform((urls) => urls.split(",").map((url) => url.trim()))
      .refine((urls) => urls.every(isRedisUrl), "must be redis://HOST:PORT or rediss://…"),
    REDIS_CLUSTER: z.enum(["true", "false"], "must be true or false").default("false"),
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
    HEART_BEATS: z.enum(["true", "false"], "must be true or false").default("true"),
  })
  .refine((values) => values.AUTH_JWT_SECRET !== undefined || values.AUTH_JWKS_URI !== undefined, {
    path: ["AUTH_JWKS_URI"],
    error: "is missing: set it, or AUTH_JWT_SECRET for local use",
    // Also when other settings are missing or wrong, so that all are named together.
    when: () => true,
  })
  .superRefine(({ REDIS_URL, REDIS_CLUSTER }, context) => {
    if (REDIS_URL.length === 1 || REDIS_CLUSTER !== "false" || !REDIS_URL.every(isRedisUrl)) return;
    const message = "names several nodes: set REDIS_CLUSTER to true if they are of one cluster, or name one";
    context.addIssue({ code: "custom", path: ["REDIS_URL"], message });
  })
  .superRefine((values, context) => {
    if (!CONNECTION.test(values.WEB_PUBSUB_CONNECTION)) return;
    const missing = ENTRA.filter((name) => values[name] === undefined);
    const hasKey = CONNECTION.exec(values.WEB_PUBSUB_CONNECTION)?.groups?.["key"] !== undefined;
    if (missing.length === ENTRA.length && hasKey) return;
    const why = hasKey
      ? "is missing: the WEB_PUBSUB_ENTRA_ settings go together"
      : "is missing: set it, or an AccessKey in WEB_PUBSUB_CONNECTION";
    for (const name of missing) context.addIssue({ code: "custom", path: [name], message: why });
  });

/** Names of every setting the deployed code reads. */
export const settingNames: readonly string[] = Object.keys(Settings.shape);

export interface AuthConfig {
  readonly issuer: string;
  readonly audience: string;
  readonly jwtSecret?: string;
  readonly jwksUri?: string;
}

export interface Config {
  readonly webPubSub: {
    readonly endpoint: string;
    /** At most two. The first one signs. Without any the process uses its own Entra identity. */
    readonly accessKeys: readonly string[];
    /**
     * The identity that upstream calls must come from. Without it `ce-signature` proves that they come from
     * the service.
     */
    readonly entra?: EntraCaller;
  };
  readonly eventHubs: { readonly connectionString: string };
  readonly mysqlUrl: string;
  readonly redis: RedisConfig;
  readonly auth: AuthConfig;
  readonly allowedOrigins: readonly string[];
  readonly limits: Limits;
  readonly heartBeats: boolean;
}

export interface EntraCaller {
  readonly issuer: string;
  readonly audience: string;
  readonly objectId: string;
  readonly jwksUri: string;
}

export interface RedisConfig {
  readonly urls: readonly string[];
  readonly cluster: boolean;
}

/** The most live sessions of a user, and the most of each other kind in any 60 seconds. 0 is no limit. */
export interface Limits {
  readonly sessions: number;
  readonly messages: number;
  readonly reads: number;
  readonly subscribes: number;
  readonly negotiates: number;
  readonly writes: number;
  readonly lookups: number;
  readonly unsubscribes: number;
  readonly handshakes: number;
  readonly heartBeats: number;
  readonly pieces: number;
}

/**
 * Reads the settings once. Throws one error that names every missing or wrong setting. Empty values count as
 * missing.
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(settingNames.map((name) => [name, env[name] || undefined]));
  const result = Settings.safeParse(given);
  if (!result.success) throw new Error(`Settings are missing or wrong:\n${explain(result.error, given)}`);
  const values = result.data;
  const groups = CONNECTION.exec(values.WEB_PUBSUB_CONNECTION)?.groups as { endpoint: string; key?: string };
  const [issuer, audience, objectId, jwksUri] = ENTRA.map((name) => values[name]);
  return Object.freeze({
    webPubSub: {
      endpoint: groups.endpoint,
      accessKeys: [groups.key, values.WEB_PUBSUB_SECONDARY_KEY].filter((key) => key !== undefined),
      ...(issuer && audience && objectId && jwksUri
        ? { entra: { issuer, audience, objectId, jwksUri } }
        : {}),
    },
    eventHubs: { connectionString: values.EVENT_HUBS_CONNECTION },
    mysqlUrl: values.MYSQL_URL,
    redis: { urls: values.REDIS_URL, cluster: values.REDIS_CLUSTER === "true" },
    auth: {
      issuer: values.AUTH_ISSUER,
      audience: values.AUTH_AUDIENCE,
      ...defined({ jwtSecret: values.AUTH_JWT_SECRET, jwksUri: values.AUTH_JWKS_URI }),
    },
    allowedOrigins: values.ALLOWED_ORIGINS,
    limits: {
      sessions: values.SESSION_LIMIT,
      messages: values.RATE_LIMIT_PER_MINUTE,
      reads: values.RATE_LIMIT_READS_PER_MINUTE,
      subscribes: values.RATE_LIMIT_SUBSCRIBES_PER_MINUTE,
      negotiates: values.RATE_LIMIT_NEGOTIATES_PER_MINUTE,
      writes: values.RATE_LIMIT_WRITES_PER_MINUTE,
      lookups: values.RATE_LIMIT_LOOKUPS_PER_MINUTE,
      unsubscribes: values.RATE_LIMIT_UNSUBSCRIBES_PER_MINUTE,
      handshakes: values.RATE_LIMIT_HANDSHAKES_PER_MINUTE,
      heartBeats: values.RATE_LIMIT_EMPTY_MESSAGES_PER_MINUTE,
      pieces: values.RATE_LIMIT_PIECES_PER_MINUTE,
    },
    heartBeats: values.HEART_BEATS === "true",
  });
}

function explain(error: z.ZodError, given: Readonly<Record<string, string | undefined>>): string {
  const lines = error.issues.map((issue) => {
    const name = String(issue.path[0]);
    const missing = given[name] === undefined && !issue.message.startsWith("is missing");
    return `  ${name} ${missing ? "is missing" : issue.message}`;
  });
  return lines.join("\n");
}
