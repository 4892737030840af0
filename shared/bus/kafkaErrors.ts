import type { Fault } from "../platform/errors.js";
import { UnknownTopic, UnsupportedBrokers } from "./kafkaClient.js";

/** How deep errors are looked for in others: the library wraps those of a call, and of each broker. */
const NESTED = 6;

/** An error and those that it holds or was caused by. */
export function* errorsIn(error: unknown, depth = 0): Generator<Readonly<Record<string, unknown>>> {
  if (typeof error !== "object" || error === null || depth > NESTED) return;
  const one = error as Readonly<Record<string, unknown>>;
  yield one;
  yield* errorsIn(one["cause"], depth + 1);
  if (Array.isArray(one["errors"])) for (const each of one["errors"]) yield* errorsIn(each, depth + 1);
}

/** The brokers' names of what went wrong, as in Kafka's protocol guide. */
export function errorIds(error: unknown): ReadonlySet<string> {
  const ids = [...errorsIn(error)].map((one) => one["apiId"]);
  return new Set(ids.filter((id) => typeof id === "string"));
}

/** What a repetition does not change, and whether the fault lies with this app's key or token alone. */
const FAULTS: Readonly<Record<string, { readonly isOwn: boolean }>> = {
  SASL_AUTHENTICATION_FAILED: { isOwn: true },
  UNSUPPORTED_SASL_MECHANISM: { isOwn: true },
  ILLEGAL_SASL_STATE: { isOwn: true },
  TOPIC_AUTHORIZATION_FAILED: { isOwn: true },
  CLUSTER_AUTHORIZATION_FAILED: { isOwn: true },
  INVALID_TOPIC_EXCEPTION: { isOwn: false },
  POLICY_VIOLATION: { isOwn: false },
};

/** What only the people who run the service can mend. Nothing where a repetition can help. */
export function faultIn(error: unknown): Fault | undefined {
  for (const one of errorsIn(error)) {
    if (one instanceof UnknownTopic) return { what: one.message, kind: "UnknownTopic" };
    const id = typeof one["apiId"] === "string" ? one["apiId"] : "";
    const fault = FAULTS[id];
    if (fault) return { what: `${id}: ${String(one["message"])}`, kind: id, isOwn: fault.isOwn };
    if (one instanceof UnsupportedBrokers) return { what: one.message, kind: "UNSUPPORTED_VERSION" };
  }
  return undefined;
}
