import type { TokenCredential } from "@azure/identity";
import type { EventBusConfig, KafkaConfig } from "../config.js";
import type { OnFault } from "../platform/errors.js";
import type { EventBus } from "./eventBus.js";
import { connectEventHubs } from "./eventHubs.js";
import { connectKafka } from "./kafka.js";
import type { KafkaAccess } from "./kafkaClient.js";

/** The adapter of the bus that the settings name. Nothing is connected before the first call. */
export function connectBus(config: EventBusConfig, credential: TokenCredential, onFault?: OnFault): EventBus {
  const options = onFault ? { onFault } : {};
  if (config.kind === "key") return connectEventHubs(config.connectionString, options);
  if (config.kind === "entra") return connectEventHubs({ host: config.namespace, credential }, options);
  const access = kafkaAccess(config, credential);
  if (!config.eventHubs) return connectKafka(access, options);
  // Event Hubs tell no ids of topics by Kafka's protocol. By AMQP they tell when a hub was made, which is its
  // id by either protocol, so positions stay right when the protocol is changed.
  const byAmqp = connectBus(config.eventHubs, credential, onFault);
  const kafka = connectKafka(access, { ...options, hubId: byAmqp.hubId });
  return {
    ...kafka,
    async close() {
      await Promise.all([kafka.close(), byAmqp.close()]);
    },
  };
}

/** The address and the login of the brokers. The token of an identity is asked for at each connection. */
export function kafkaAccess(
  { brokers, security, login, eventHubs }: KafkaConfig,
  credential: TokenCredential,
): KafkaAccess {
  const scope = `https://${eventHubs?.kind === "entra" ? eventHubs.namespace : ""}/.default`;
  const token = async (): Promise<string> => (await credential.getToken(scope))?.token ?? "";
  return {
    brokers,
    ...(security !== "PLAINTEXT" && { tls: {} }),
    ...(login && { sasl: login.mechanism === "PLAIN" ? login : { mechanism: login.mechanism, token } }),
  };
}

/** Where a bus is, for people, without a key. */
export function addressOf(config: EventBusConfig): string {
  if (config.kind === "key") return /Endpoint=([^;]*)/i.exec(config.connectionString)?.[1] ?? "";
  return config.kind === "entra" ? config.namespace : config.brokers.join(",");
}
