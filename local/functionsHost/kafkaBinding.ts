import type { Binding } from "./rpc.js";
import { resolveNames } from "./settings.js";

/** What a Kafka trigger reads, and how it gets there. */
export interface KafkaSource {
  /** `HOST:PORT` each. */
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly group: string;
  readonly tls: boolean;
  /** For SASL PLAIN. */
  readonly login: { readonly username: string; readonly password: string } | undefined;
}

/** The protocols of the extension: whether TLS, whether SASL. */
const PROTOCOLS: Readonly<Record<string, { readonly tls: boolean; readonly sasl: boolean }>> = {
  notset: { tls: false, sasl: false },
  plaintext: { tls: false, sasl: false },
  ssl: { tls: true, sasl: false },
  saslplaintext: { tls: false, sasl: true },
  saslssl: { tls: true, sasl: true },
};

/** Settings of the extension that change what an event is, or whom a client trusts: refused, not ignored. */
const UNKNOWN = /^(avroSchema|keyAvroSchema|schemaRegistry\w*|ssl\w+|oAuthBearer\w+|httpsCa\w+)$/i;

const EVENT_HUBS = ".servicebus.windows.net";

/**
 * Reads the binding of a Kafka trigger as the extension does: `%NAME%` stands for a setting, and so does a
 * value that is a setting's name. Throws an error that names `where` and what to write instead.
 */
export function kafkaSource(binding: Binding, env: NodeJS.ProcessEnv, where: string): KafkaSource {
  for (const [name, value] of Object.entries(binding))
    if (UNKNOWN.test(name) && value)
      throw new Error(`${where}: this host can't do what ${name} asks for: leave it out for local work`);
  const setting = settingsOf(binding, env, where);
  const topic = required(setting("topic"), "topic", where);
  const text = required(setting("brokerList"), "brokerList", where);
  const hub = setting("eventHubConnectionString");
  const group = setting("consumerGroup");
  if (hub !== undefined) {
    const name = text.includes(EVENT_HUBS) ? text : `${text}${EVENT_HUBS}:9093`;
    const login = { username: "$ConnectionString", password: hub };
    return { brokers: brokersOf(name, where), topic, group: group ?? "$Default", tls: true, login };
  }
  const { tls, login } = security(binding, setting, where);
  return {
    brokers: brokersOf(text, where),
    topic,
    group: required(group, "consumerGroup", where),
    tls,
    login,
  };
}

type Setting = (name: keyof Binding) => string | undefined;

function settingsOf(binding: Binding, env: NodeJS.ProcessEnv, where: string): Setting {
  return (name) => {
    const value = binding[name];
    if (value === undefined || value === null || value === "") return undefined;
    if (typeof value !== "string") throw new Error(`${where}: ${name} must be a string`);
    const resolved = resolveNames(value, env, where);
    return env[resolved] || resolved;
  };
}

function required(value: string | undefined, name: string, where: string): string {
  if (value === undefined) throw new Error(`${where}: its Kafka trigger needs a ${name}`);
  return value;
}

function brokersOf(list: string, where: string): string[] {
  const brokers = list
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
  const wrong = brokers.find((one) => !/^[^\s:/]+(:\d{1,5})?$/.test(one));
  if (brokers.length > 0 && wrong === undefined) return brokers;
  throw new Error(`${where}: brokerList has "${wrong ?? ""}" but must have HOST:PORT, separated by commas`);
}

function security(binding: Binding, setting: Setting, where: string): Pick<KafkaSource, "tls" | "login"> {
  const protocol = String(binding.protocol ?? "notSet").toLowerCase();
  const mode = String(binding.authenticationMode ?? "notSet").toLowerCase();
  const known = PROTOCOLS[protocol];
  if (!known)
    throw new Error(
      `${where}: protocol "${binding.protocol}" is unknown: use plaintext, ssl, saslPlaintext or saslSsl`,
    );
  // The extension resolves them as soon as either is set, and fails for a setting that isn't there.
  const used = protocol !== "notset" || mode !== "notset";
  const [username, password] = used ? [setting("username"), setting("password")] : [];
  if (!known.sasl) return { tls: known.tls, login: undefined };
  if (mode !== "plain")
    throw new Error(`${where}: authenticationMode must be plain, as this host knows no other one`);
  const login = {
    username: required(username, "username", where),
    password: required(password, "password", where),
  };
  return { tls: known.tls, login };
}
