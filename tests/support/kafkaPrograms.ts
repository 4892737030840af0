import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort, LOOPBACK } from "../../local/ports.js";
import { startKafka } from "../../local/services/kafka.js";
import type { KafkaProgram } from "../../local/services/kafkaProgram.js";
import type { Certificate } from "./certificates.js";

/** A quick start counts here, not speed. */
const JVM = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/** Runs one of Kafka's own command line tools, such as `TopicCommand`, and resolves with what it prints. */
export async function kafkaTool(
  { java, libs }: KafkaProgram,
  tool: string,
  ...args: string[]
): Promise<string> {
  const { stdout } = await promisify(execFile)(java, [...JVM, "-cp", `${libs}/*`, tool, ...args]);
  return stdout;
}

/** A broker that lets nobody do anything without a right. */
export interface SecuredKafka {
  /** Takes TLS and SASL PLAIN only. */
  readonly brokers: string;
  /**
   * Takes TLS and SASL OAUTHBEARER only: tokens without a signature, whose `sub` is the user. It asks for
   * another one every two seconds.
   */
  readonly tokenBrokers: string;
  close(): Promise<void>;
}

/** Users of a secured broker, with their passwords: the one may do everything, the other nothing. */
export const ADMIN = ["admin", "secret of the admin"] as const;
export const GUEST = ["guest", "secret of the guest"] as const;

/** Starts a broker of one node with TLS, SASL and access control lists. `data` is a new folder. */
export async function startSecuredKafka(data: string, { cert, key }: Certificate): Promise<SecuredKafka> {
  mkdirSync(data);
  const [port, byToken, inner, controller] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const keys = join(data, "keys.pem");
  writeFileSync(keys, `${key.trim()}\n${cert.trim()}\n`, { mode: 0o600 });
  const users = [ADMIN, GUEST].map(([name, password]) => `user_${name}="${password}"`).join(" ");
  const clients = `SASL_SSL://localhost:${port},TOKEN://localhost:${byToken},INNER://${LOOPBACK}:${inner}`;
  const settings = {
    "controller.quorum.voters": `1@${LOOPBACK}:${controller}`,
    listeners: `${clients},CONTROLLER://${LOOPBACK}:${controller}`,
    "advertised.listeners": clients,
    "listener.security.protocol.map": "SASL_SSL:SASL_SSL,TOKEN:SASL_SSL,INNER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "INNER",
    "ssl.keystore.type": "PEM",
    "ssl.keystore.location": keys,
    "sasl.enabled.mechanisms": "PLAIN",
    "listener.name.sasl_ssl.plain.sasl.jaas.config": `org.apache.kafka.common.security.plain.PlainLoginModule required ${users};`,
    "listener.name.token.sasl.enabled.mechanisms": "OAUTHBEARER",
    "listener.name.token.oauthbearer.sasl.jaas.config":
      "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;",
    "listener.name.token.oauthbearer.connections.max.reauth.ms": 2_000,
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    // The broker itself comes over the inner listeners, where nobody says who they are.
    "super.users": `User:ANONYMOUS;User:${ADMIN[0]}`,
  };
  // It answers on the inner listener when it is up.
  const { close } = await startKafka({ data, port: inner, settings });
  return { brokers: `localhost:${port}`, tokenBrokers: `localhost:${byToken}`, close };
}
