import type { z } from "zod";
import { defined } from "./platform/defined.js";
import {
  AUDIT_RULES,
  BUS_RULES,
  DATABASE_RULES,
  ENTRA,
  type Given,
  isEventHubs,
  isSameNamespace,
  type Problem,
  RULES,
} from "./settingRules.js";
import { AuditSettings, BusSettings, CONNECTION, DatabaseSettings, Settings } from "./settings.js";

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
  /** What events are published on, and read again from. */
  readonly eventBus: EventBusConfig;
  /** The trigger that hands them over: that of Event Hubs, or the Kafka trigger with its brokers. */
  readonly trigger: "eventhubs" | KafkaConfig;
  /** Another bus that is still set: what waits there is stored before anything of the present one. */
  readonly formerBus?: EventBusConfig;
  readonly mysql: MysqlConfig;
  readonly redis: RedisConfig & { readonly entra: boolean };
  /** The user-assigned managed identity that this app is. Without it: what `DefaultAzureCredential` finds. */
  readonly clientId?: string;
  readonly auth: AuthConfig;
  readonly allowedOrigins: readonly string[];
  readonly limits: Limits;
  readonly heartBeats: boolean;
  /** Without it what is stored is not audited every night. */
  readonly audit?: AuditConfig;
}

export interface AuditConfig {
  /** A timer's, in UTC. */
  readonly schedule: string;
  readonly repairs: boolean;
}

export type EventBusConfig = EventHubsConfig | KafkaConfig;

export interface KafkaConfig {
  readonly kind: "kafka";
  /** `HOST:PORT` each. */
  readonly brokers: readonly string[];
  readonly security: "PLAINTEXT" | "SSL" | "SASL_SSL";
  /** Set with `SASL_SSL`. */
  readonly login?:
    | { readonly mechanism: "PLAIN"; readonly username: string; readonly password: string }
    | { readonly mechanism: "OAUTHBEARER" };
  /** The same namespace by AMQP, where the brokers are those of Event Hubs. */
  readonly eventHubs?: EventHubsConfig;
}

/** A connection string with a key, or the host name of a namespace that takes this app's Entra tokens. */
export type EventHubsConfig =
  | { readonly kind: "key"; readonly connectionString: string }
  | { readonly kind: "entra"; readonly namespace: string };

export interface MysqlConfig {
  readonly url: string;
  /** Whether an Entra token is the password. */
  readonly entra: boolean;
  readonly poolSize: number;
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
export function readConfig(env: Given): Config {
  const values = parse(Settings, RULES, env);
  const { endpoint, key } = socketServiceOf(values.WEB_PUBSUB_CONNECTION);
  const [issuer, audience, objectId, jwksUri] = ENTRA.map((name) => values[name]);
  return Object.freeze({
    webPubSub: {
      endpoint,
      accessKeys: [key, values.WEB_PUBSUB_SECONDARY_KEY].filter((key) => key !== undefined),
      ...(issuer && audience && objectId && jwksUri
        ? { entra: { issuer, audience, objectId, jwksUri } }
        : {}),
    },
    ...busesOf(values, env),
    mysql: mysqlOf(values),
    redis: redisOf(values),
    ...defined({ clientId: values.AZURE_CLIENT_ID }),
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
    ...(values.AUDIT !== "off" && {
      audit: { schedule: values.AUDIT_SCHEDULE, repairs: values.AUDIT === "repair" },
    }),
  });
}

/** What a process needs that audits what is stored. Throws as `readConfig` does. */
export function readAuditConfig(env: Given): Pick<Config, "webPubSub" | "mysql" | "redis" | "clientId"> {
  const values = parse(AuditSettings, AUDIT_RULES, env);
  const { endpoint, key } = socketServiceOf(values.WEB_PUBSUB_CONNECTION);
  return {
    webPubSub: { endpoint, accessKeys: key === undefined ? [] : [key] },
    mysql: mysqlOf(values),
    redis: redisOf(values),
    ...defined({ clientId: values.AZURE_CLIENT_ID }),
  };
}

/** What a process needs that uses the database alone. Throws as `readConfig` does. */
export function readMysqlConfig(env: Given): MysqlConfig & { readonly clientId?: string } {
  const values = parse(DatabaseSettings, DATABASE_RULES, env);
  return { ...mysqlOf(values), ...defined({ clientId: values.AZURE_CLIENT_ID }) };
}

/** Names what is wrong by itself, and what is wrong together, in one error. */
function parse<T extends z.ZodObject>(schema: T, rules: typeof RULES, env: Given): z.output<T> {
  const given = Object.fromEntries(Object.keys(schema.shape).map((name) => [name, env[name] || undefined]));
  const result = schema.safeParse(given);
  const problems = [
    ...(result.error?.issues ?? []).map((issue) => problemOf(issue, given)),
    ...rules.flatMap((rule) => rule(given)),
  ];
  if (result.success && problems.length === 0) return result.data;
  const place = ([name]: Problem) => Object.keys(schema.shape).indexOf(name);
  problems.sort((one, other) => place(one) - place(other));
  const lines = problems.map(([name, message]) => `  ${name} ${message}`);
  throw new Error(`Settings are missing or wrong:\n${lines.join("\n")}`);
}

function problemOf({ path, message }: z.core.$ZodIssue, given: Given): Problem {
  const name = String(path[0]);
  return [name, given[name] === undefined ? "is missing" : message];
}

type BusValues = z.output<typeof BusSettings>;

/** What a process needs that uses the event bus alone. Throws as `readConfig` does. */
export function readBusConfig(env: Given): Pick<Config, "eventBus" | "trigger" | "formerBus" | "clientId"> {
  const values = parse(BusSettings, BUS_RULES, env);
  return { ...busesOf(values, env), ...defined({ clientId: values.AZURE_CLIENT_ID }) };
}

function busesOf(values: BusValues, env: Given): Pick<Config, "eventBus" | "trigger" | "formerBus"> {
  const buses = { eventhubs: eventHubsOf(values), kafka: kafkaOf(values) };
  const { EVENT_BUS: bus, EVENT_TRIGGER: trigger = bus } = values;
  const { kafka } = buses;
  const other = buses[bus === "kafka" ? "eventhubs" : "kafka"];
  return {
    // The rules have made sure that it is set.
    eventBus: buses[bus] as EventBusConfig,
    trigger: trigger === "kafka" && kafka ? kafka : "eventhubs",
    ...(other && !isSameNamespace(env) ? { formerBus: other } : {}),
  };
}

function eventHubsOf(values: BusValues): EventHubsConfig | undefined {
  const { EVENT_HUBS_CONNECTION: connectionString } = values;
  const namespace = values.EVENT_HUBS_CONNECTION__fullyQualifiedNamespace;
  if (connectionString !== undefined) return { kind: "key", connectionString };
  return namespace === undefined ? undefined : { kind: "entra", namespace };
}

/** The user name by which Event Hubs knows that the password is a connection string. */
const OF_EVENT_HUBS = "$ConnectionString";

function kafkaOf(values: BusValues): KafkaConfig | undefined {
  const { KAFKA_BROKERS: brokers, KAFKA_SECURITY_PROTOCOL: security = "PLAINTEXT" } = values;
  if (brokers === undefined) return undefined;
  const login = loginOf(values);
  const [first = ""] = brokers;
  const eventHubs: EventHubsConfig | undefined = !isEventHubs(brokers.join(","))
    ? undefined
    : login?.mechanism === "PLAIN"
      ? { kind: "key", connectionString: login.password }
      : { kind: "entra", namespace: first.replace(/:\d+$/, "") };
  return { kind: "kafka", brokers, security, ...defined({ login, eventHubs }) };
}

function loginOf(values: BusValues): KafkaConfig["login"] {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_PASSWORD: password = "" } = values;
  if (mechanism !== "PLAIN") return mechanism && { mechanism };
  return { mechanism, username: values.KAFKA_USERNAME ?? OF_EVENT_HUBS, password };
}

/** Of a connection string that was found to be one. */
const socketServiceOf = (connection: string): { readonly endpoint: string; readonly key?: string } =>
  CONNECTION.exec(connection)?.groups as { endpoint: string; key?: string };

const redisOf = (values: z.output<typeof AuditSettings>): Config["redis"] => ({
  urls: values.REDIS_URL,
  cluster: values.REDIS_CLUSTER === "true",
  entra: values.REDIS_ENTRA === "true",
});

const mysqlOf = (values: z.output<typeof DatabaseSettings>): MysqlConfig => ({
  url: values.MYSQL_URL,
  entra: values.MYSQL_ENTRA === "true",
  poolSize: values.MYSQL_POOL_SIZE,
});
