import { z } from "zod";

const CONNECTION = /^Endpoint=(?<endpoint>[^;]+);(?:.*;)?AccessKey=(?<key>[^;]+)/i;

/** Whoever can change the keys on their way can be anyone. */
const isKeyUrl = (url: string): boolean =>
  URL.canParse(url) && /^https:|^http:\/\/(localhost|127\.0\.0\.1)[:/]/i.test(url);

const Settings = z
  .object({
    /** `Endpoint=https://…;AccessKey=…;Version=1.0;` of the Web PubSub resource. */
    WEB_PUBSUB_CONNECTION: z
      .string()
      .regex(
        CONNECTION,
        "must look like Endpoint=https://NAME.webpubsub.azure.com;AccessKey=KEY;Version=1.0;",
      ),
    /** The resource's other access key, so that keys can be rotated without refusing upstream calls. */
    WEB_PUBSUB_SECONDARY_KEY: z.string().optional(),
    EVENT_HUBS_CONNECTION: z.string().regex(/^Endpoint=sb:\/\//i, "must begin with Endpoint=sb://"),
    MYSQL_URL: z.url({ protocol: /^mysql$/, error: "must be mysql://USER:PASSWORD@HOST:PORT/DATABASE" }),
    REDIS_URL: z.url({ protocol: /^rediss?$/, error: "must be redis://HOST:PORT or rediss://…" }),
    AUTH_ISSUER: z.string().min(1),
    AUTH_AUDIENCE: z.string().min(1),
    /** HS256, for local use only. */
    AUTH_JWT_SECRET: z
      .string()
      .refine((secret) => Buffer.byteLength(secret) >= 32, "must have 32 bytes or more")
      .optional(),
    /** RS256, ES256 and EdDSA keys of the identity provider. */
    AUTH_JWKS_URI: z
      .string()
      .refine(isKeyUrl, "must be https://HOST/PATH (http on this machine only)")
      .optional(),
  })
  .refine((values) => values.AUTH_JWT_SECRET !== undefined || values.AUTH_JWKS_URI !== undefined, {
    path: ["AUTH_JWKS_URI"],
    error: "is missing: set it, or AUTH_JWT_SECRET for local use",
    // Also when other settings are missing or wrong, so that all are named together.
    when: () => true,
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
    /** One or two; the first one signs. */
    readonly accessKeys: readonly string[];
  };
  readonly eventHubs: { readonly connectionString: string };
  readonly mysqlUrl: string;
  readonly redisUrl: string;
  readonly auth: AuthConfig;
}

/** Reads the settings once; throws one error that names every missing or wrong one. Empty values count as missing. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(settingNames.map((name) => [name, env[name] || undefined]));
  const result = Settings.safeParse(given);
  if (!result.success) throw new Error(`Settings are missing or wrong:\n${explain(result.error, given)}`);
  const values = result.data;
  const groups = CONNECTION.exec(values.WEB_PUBSUB_CONNECTION)?.groups as { endpoint: string; key: string };
  return Object.freeze({
    webPubSub: {
      endpoint: groups.endpoint,
      accessKeys: [groups.key, values.WEB_PUBSUB_SECONDARY_KEY].filter((key) => key !== undefined),
    },
    eventHubs: { connectionString: values.EVENT_HUBS_CONNECTION },
    mysqlUrl: values.MYSQL_URL,
    redisUrl: values.REDIS_URL,
    auth: {
      issuer: values.AUTH_ISSUER,
      audience: values.AUTH_AUDIENCE,
      ...(values.AUTH_JWT_SECRET === undefined ? {} : { jwtSecret: values.AUTH_JWT_SECRET }),
      ...(values.AUTH_JWKS_URI === undefined ? {} : { jwksUri: values.AUTH_JWKS_URI }),
    },
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
