import { isLoopback } from "./platform/loopback.js";
import { CONNECTION, isRedisUrl } from "./settings.js";

/** The settings as they were given. Empty ones are undefined. */
export type Given = Readonly<Record<string, string | undefined>>;

/** A setting's name and what is wrong with it, or missing. */
export type Problem = readonly [name: string, message: string];

/**
 * What is wrong with settings together that are right one by one. A rule passes over a setting that is wrong
 * by itself, so that nobody reads two complaints of one mistake.
 */
type Rule = (given: Given) => readonly Problem[];

/** The two ways to Event Hubs, named as the Functions host wants them for its trigger. */
const KEY = "EVENT_HUBS_CONNECTION";
const NAMESPACE = "EVENT_HUBS_CONNECTION__fullyQualifiedNamespace";
const CREDENTIAL = "EVENT_HUBS_CONNECTION__credential";
const CLIENT_ID = "EVENT_HUBS_CONNECTION__clientId";

/**
 * With these settings an Entra token proves that an upstream call comes from Web PubSub, also without access
 * keys.
 */
export const ENTRA = [
  "WEB_PUBSUB_ENTRA_ISSUER",
  "WEB_PUBSUB_ENTRA_AUDIENCE",
  "WEB_PUBSUB_ENTRA_OBJECT_ID",
  "WEB_PUBSUB_ENTRA_JWKS_URI",
] as const;

const webPubSub: Rule = (given) => {
  const connection = CONNECTION.exec(given["WEB_PUBSUB_CONNECTION"] ?? "");
  if (!connection) return [];
  const missing = ENTRA.filter((name) => given[name] === undefined);
  const hasKey = connection.groups?.["key"] !== undefined;
  if (missing.length === ENTRA.length && hasKey) return [];
  const why = hasKey
    ? "is missing: the WEB_PUBSUB_ENTRA_ settings go together"
    : "is missing: set it, or an AccessKey in WEB_PUBSUB_CONNECTION";
  return missing.map((name) => [name, why]);
};

const eventHubs: Rule = (given) => {
  if (given[NAMESPACE] === undefined) return [...missingHubs(given), ...identityAlone(given)];
  if (given[KEY] !== undefined)
    return [[NAMESPACE, `is set beside ${KEY}: set one of them, as only one can count`]];
  return sameIdentity(given);
};

const missingHubs: Rule = (given) =>
  given[KEY] === undefined && [busOf(given), triggerOf(given)].includes("eventhubs")
    ? [[KEY, `is missing: set it, or ${NAMESPACE} for an identity`]]
    : [];

const busOf = (given: Given): string => given["EVENT_BUS"] ?? "eventhubs";
const triggerOf = (given: Given): string => given["EVENT_TRIGGER"] ?? busOf(given);

const BROKERS = "KAFKA_BROKERS";
const SECURITY = "KAFKA_SECURITY_PROTOCOL";
const MECHANISM = "KAFKA_SASL_MECHANISM";
const USERNAME = "KAFKA_USERNAME";
const PASSWORD = "KAFKA_PASSWORD";

const kafka: Rule = (given) => {
  if (given[BROKERS] !== undefined) return [...kafkaLogin(given), ...triggers(given)];
  const alone = [SECURITY, MECHANISM, USERNAME, PASSWORD].filter((name) => given[name] !== undefined);
  return [
    ...([busOf(given), triggerOf(given)].includes("kafka")
      ? [[BROKERS, "is missing: set it to HOST:PORT, or EVENT_BUS to eventhubs"] as const]
      : []),
    ...alone.map((name) => [name, `counts only beside ${BROKERS}: set that, or leave this out`] as const),
  ];
};

const kafkaLogin: Rule = (given) => {
  const mechanism = given[MECHANISM];
  if (given[SECURITY] !== "SASL_SSL")
    return [MECHANISM, USERNAME, PASSWORD]
      .filter((name) => given[name] !== undefined)
      .map((name) => [name, `counts only where ${SECURITY} is SASL_SSL: set that, or leave this out`]);
  if (mechanism === undefined) return [[MECHANISM, "is missing: set it to PLAIN or OAUTHBEARER"]];
  if (mechanism === "OAUTHBEARER" && !isEventHubs(given[BROKERS] ?? ""))
    return [[MECHANISM, "must be PLAIN: only Event Hubs take this app's tokens"]];
  if (mechanism === "OAUTHBEARER")
    return [USERNAME, PASSWORD]
      .filter((name) => given[name] !== undefined)
      .map((name) => [name, `must not be set: with OAUTHBEARER the password is this app's token`]);
  return given[PASSWORD] === undefined && mechanism === "PLAIN"
    ? [[PASSWORD, "is missing: of Event Hubs it is the connection string"]]
    : [];
};

const triggers: Rule = (given) => {
  const [bus, trigger] = [busOf(given), triggerOf(given)];
  if (trigger === "kafka" && given[MECHANISM] === "OAUTHBEARER")
    return [
      [
        "EVENT_TRIGGER",
        "must be eventhubs: the Kafka trigger of Azure Functions can't use an identity's token",
      ],
    ];
  const isKnown = [bus, trigger].every((one) => one === "kafka" || one === "eventhubs");
  return !isKnown || bus === trigger || isSameNamespace(given)
    ? []
    : [
        [
          "EVENT_TRIGGER",
          `must be ${bus}, or ${BROKERS} and ${KEY} must lead to the same Event Hubs namespace`,
        ],
      ];
};

/** Whether the settings of both buses lead to one namespace, so that they have the same events. */
export function isSameNamespace(given: Given): boolean {
  // Empty settings count as missing.
  const host = given[NAMESPACE] || /^Endpoint=sb:\/\/([^/;]+)/i.exec(given[KEY] ?? "")?.[1];
  const nameOf = (address: string | undefined) => address?.trim().replace(/:\d+$/, "").toLowerCase();
  return host !== undefined && nameOf(given[BROKERS]) === nameOf(host) && isEventHubs(given[BROKERS] ?? "");
}

/** Whether brokers are the Kafka endpoint of an Event Hubs namespace, in any of Azure's clouds. */
export const isEventHubs = (brokers: string): boolean =>
  /^[^,]+\.servicebus\.(windows\.net|chinacloudapi\.cn|usgovcloudapi\.net|cloudapi\.de):\d+$/i.test(
    brokers.trim(),
  );

const identityAlone: Rule = (given) =>
  [CREDENTIAL, CLIENT_ID]
    .filter((name) => given[name] !== undefined)
    .map((name) => [name, `counts only beside ${NAMESPACE}: set that, or leave this out`]);

/** The trigger and the app read the same hubs, so they must be allowed the same. */
const sameIdentity: Rule = (given) => {
  const [ofHost, ofApp] = [given[CLIENT_ID], given["AZURE_CLIENT_ID"]];
  if (ofHost === undefined && ofApp !== undefined && given[CREDENTIAL] !== undefined)
    return [[CLIENT_ID, "is missing: set it to AZURE_CLIENT_ID, or the trigger uses another identity"]];
  if (ofHost === undefined) return [];
  if (given[CREDENTIAL] === undefined)
    return [[CREDENTIAL, `is missing: set it to managedidentity, or ${CLIENT_ID} does not count`]];
  if (ofApp === undefined) return [["AZURE_CLIENT_ID", `is missing: set it to ${CLIENT_ID}`]];
  return ofHost.toLowerCase() === ofApp.toLowerCase()
    ? []
    : [[CLIENT_ID, "must be that of AZURE_CLIENT_ID: the trigger and the app are one identity"]];
};

const mysql: Rule = (given) => {
  const text = given["MYSQL_URL"] ?? "";
  if (!/^mysql:/.test(text) || !URL.canParse(text)) return [];
  const url = new URL(text);
  const problems = given["MYSQL_ENTRA"] === "true" ? entraUrl(url) : passwordUrl(url);
  return [...problems, ...namedHost(url)].map((message) => ["MYSQL_URL", message]);
};

function entraUrl(url: URL): readonly string[] {
  return [
    ...(url.password === "" ? [] : ["has a password: leave it out, or set MYSQL_ENTRA to false"]),
    ...(url.username === "" ? ["must name the user that the token is for: mysql://USER@HOST/DATABASE"] : []),
    ...(url.searchParams.has("ssl")
      ? ["has an option ssl: leave it out, as tokens go over verified TLS only"]
      : []),
  ];
}

const passwordUrl = (url: URL): readonly string[] =>
  url.password === "" && !isLoopback(url.hostname)
    ? ["has no password: set one, or MYSQL_ENTRA to true for this app's identity"]
    : [];

/** Node and `mysql2` can't check a certificate against an address: they would take one for `localhost`. */
const namedHost = (url: URL): readonly string[] =>
  /^(\d+(\.\d+){3}|\[.*\])$/.test(url.hostname) && !isLoopback(url.hostname) && !url.searchParams.has("ssl")
    ? ["must name its host: the server's certificate is for a name, not for an address"]
    : [];

const redis: Rule = (given) => {
  const urls = (given["REDIS_URL"] ?? "").split(",").map((url) => url.trim());
  if (!urls.every(isRedisUrl)) return [];
  const problems = given["REDIS_ENTRA"] === "true" ? urls.flatMap(entraRedis) : [];
  const isOne = urls.length === 1 || (given["REDIS_CLUSTER"] ?? "false") !== "false";
  const several = "names several nodes: set REDIS_CLUSTER to true if they are of one cluster, or name one";
  return [...new Set([...problems, ...(isOne ? [] : [several])])].map((message) => ["REDIS_URL", message]);
};

function entraRedis(text: string): readonly string[] {
  const { password, protocol, hostname } = new URL(text);
  return [
    ...(password === "" ? [] : ["has a password: leave it out, or set REDIS_ENTRA to false"]),
    ...(protocol === "rediss:" || isLoopback(hostname)
      ? []
      : ["must begin with rediss://, as tokens go over TLS only"]),
  ];
}

const tokens: Rule = (given) =>
  given["AUTH_JWT_SECRET"] === undefined && given["AUTH_JWKS_URI"] === undefined
    ? [["AUTH_JWKS_URI", "is missing: set it, or AUTH_JWT_SECRET for local use"]]
    : [];

export const RULES: readonly Rule[] = [webPubSub, eventHubs, kafka, mysql, redis, tokens];
/** For a process that uses the event bus alone. */
export const BUS_RULES: readonly Rule[] = [eventHubs, kafka];
/** For a process that audits what is stored. */
export const AUDIT_RULES: readonly Rule[] = [mysql, redis];
/** For a process that uses the database alone. */
export const DATABASE_RULES: readonly Rule[] = [mysql];
