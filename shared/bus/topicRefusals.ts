import { errorsIn } from "./kafkaErrors.js";

/** What an error of the client library says to a person who administers a broker. */
interface Facts {
  /** Kafka's name of the refusal, like `TOPIC_AUTHORIZATION_FAILED`. */
  readonly refusal?: string;
  /** The library's code (`PLT_KFK_…`), or that of Node. */
  readonly code?: string;
  readonly canRetry?: boolean;
  readonly text: string;
}

/** The error and every error that it holds, the innermost last. */
const factsOf = (error: unknown): readonly Facts[] =>
  [...errorsIn(error)].map(({ apiId, code, canRetry, serverErrorMessage, message }) => ({
    ...(typeof apiId === "string" && { refusal: apiId }),
    ...(typeof code === "string" && { code }),
    ...(typeof canRetry === "boolean" && { canRetry }),
    text: String(serverErrorMessage ?? message),
  }));

/** Whether the error is, or holds, this refusal of Kafka or this code. */
export const isAbout = (error: unknown, name: string): boolean =>
  factsOf(error).some(({ refusal, code }) => refusal === name || code === name);

/** Whether a broker has said no to something about a topic: another try would be answered the same. */
export const isRefusal = (error: unknown): boolean =>
  whyRefused(error, "") !== undefined ||
  isAbout(error, "TOPIC_ALREADY_EXISTS") ||
  // How the library says that a topic is unknown.
  (isAbout(error, "PLT_KFK_USER") && !isAbout(error, "PLT_KFK_NETWORK"));

/** Codes of Node for a certificate that is not trusted, which no repetition changes. */
const CERTIFICATE = /CERT|UNABLE_TO_VERIFY|SELF_SIGNED/;

/**
 * Whether another try may succeed: a broker is away or starts up. The library marks its own timeouts as not
 * to be repeated, though they have the code of the network's failures.
 */
export function mayPass(error: unknown): boolean {
  const facts = factsOf(error);
  const isForGood = ({ code, canRetry, refusal }: Facts) =>
    CERTIFICATE.test(code ?? "") || (canRetry === false && (code !== "PLT_KFK_NETWORK" || refusal));
  return facts.length > 0 && !facts.some(isForGood) && facts.some(({ code }) => code !== undefined);
}

/** The innermost error's text, which names the cause. */
export const causeOf = (error: unknown): string =>
  (factsOf(error).at(-1)?.text ?? String(error)).replace(/\.$/, "");

/** Why nothing can be asked of the brokers. */
export function whyUnreachable(error: unknown, brokers: string, seconds: number): string {
  const facts = factsOf(error);
  const why = causeOf(error);
  if (facts.some(({ code }) => CERTIFICATE.test(code ?? "")))
    return (
      `The certificate of ${brokers} is not trusted (${why}). Name the file of its authority's certificate ` +
      "in NODE_EXTRA_CA_CERTS."
    );
  if (isAbout(error, "UNSUPPORTED_SASL_MECHANISM"))
    return `${brokers} does not take the mechanism of KAFKA_SASL_MECHANISM (${why}).`;
  if (isAbout(error, "PLT_KFK_AUTHENTICATION") || isAbout(error, "SASL_AUTHENTICATION_FAILED"))
    return `${brokers} refuses KAFKA_USERNAME and KAFKA_PASSWORD, or the app's identity (${why}).`;
  return (
    `Kafka at ${brokers} can't be reached (${why})${seconds > 0 ? `, tried for ${seconds} s` : ""}. Is a ` +
    "broker running there, and is KAFKA_SECURITY_PROTOCOL what its port speaks?"
  );
}

/** Why a broker refuses something about a topic. Undefined where the refusal is not about the topic. */
export function whyRefused(error: unknown, topic: string, replication?: number): string | undefined {
  const refusal = factsOf(error).findLast((each) => each.refusal !== undefined);
  if (isAbout(error, "PLT_KFK_UNSUPPORTED_API"))
    return `${topic}: this server does not offer what topics are made and looked at by (${causeOf(error)}).`;
  switch (refusal?.refusal) {
    case "TOPIC_AUTHORIZATION_FAILED":
    case "CLUSTER_AUTHORIZATION_FAILED":
      return (
        `${topic}: this identity lacks a right. It needs Describe and DescribeConfigs on the topic, Create ` +
        "to make it, and AlterConfigs to correct it (kafka-acls.sh --add --topic)."
      );
    case "INVALID_REPLICATION_FACTOR":
      return (
        `${topic} can't be made with ${replication ?? "the broker's default of"} replicas ` +
        `(${refusal.text.replace(/\.$/, "")}). Give --replication a number up to that of the brokers that run.`
      );
    case "INVALID_CONFIG":
    case "INVALID_PARTITIONS":
    case "INVALID_TOPIC_EXCEPTION":
    case "POLICY_VIOLATION":
      return `${topic}: the broker refuses these settings (${refusal.text.replace(/\.$/, "")}).`;
    default:
      return undefined;
  }
}
