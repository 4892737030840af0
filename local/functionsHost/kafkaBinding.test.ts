import { describe, expect, test } from "vitest";
import { kafkaSource } from "./kafkaBinding.js";

const ENV = {
  BROKERS: "one:9092, two:9093",
  USER: "me",
  SECRET: "a secret",
  HUBS: "Endpoint=sb://chat.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=k",
};

function read(more: object) {
  const binding = { type: "kafkaTrigger", direction: "in", brokerList: "%BROKERS%", topic: "parcels" };
  return kafkaSource({ ...binding, consumerGroup: "readers", ...more }, ENV, 'function "f"');
}

describe("the binding of a Kafka trigger", () => {
  const plain = { brokers: ["one:9092", "two:9093"], topic: "parcels", group: "readers" };

  test.each([
    ["says nothing of security", {}, { tls: false, login: undefined }],
    ["is not set", { protocol: "NOTSET", authenticationMode: "notSet" }, { tls: false, login: undefined }],
    ["is plaintext", { protocol: "plaintext", password: "%SECRET%" }, { tls: false, login: undefined }],
    ["is ssl", { protocol: "SSL" }, { tls: true, login: undefined }],
    [
      "is saslPlaintext",
      { protocol: "saslPlaintext", authenticationMode: "Plain", username: "%USER%", password: "SECRET" },
      { tls: false, login: { username: "me", password: "a secret" } },
    ],
    [
      "is saslSsl",
      { protocol: "saslSsl", authenticationMode: "plain", username: "$ConnectionString", password: "%HUBS%" },
      { tls: true, login: { username: "$ConnectionString", password: ENV.HUBS } },
    ],
  ])("that %s", (_, binding, security) => {
    expect(read(binding)).toEqual({ ...plain, ...security });
  });

  test("with eventHubConnectionString leads to that namespace, in the group $Default if it says none", () => {
    const login = { username: "$ConnectionString", password: ENV.HUBS };
    const hubs = { brokerList: "chat", eventHubConnectionString: "HUBS", consumerGroup: "" };
    const brokers = ["chat.servicebus.windows.net:9093"];
    expect(read(hubs)).toEqual({ brokers, topic: "parcels", group: "$Default", tls: true, login });
    expect(read({ ...hubs, brokerList: brokers[0] }).brokers).toEqual(brokers);
  });

  test.each([
    [{ brokerList: "" }, "needs a brokerList"],
    [{ brokerList: "%NO_SUCH%" }, "needs the setting NO_SUCH"],
    [{ brokerList: "kafka://here" }, 'brokerList has "kafka://here" but must have HOST:PORT'],
    [{ brokerList: " , " }, "must have HOST:PORT"],
    [{ topic: 5 }, "topic must be a string"],
    [{ topic: "" }, "needs a topic"],
    [{ consumerGroup: "" }, "needs a consumerGroup"],
    [{ protocol: "sasl" }, 'protocol "sasl" is unknown: use plaintext, ssl, saslPlaintext or saslSsl'],
    [{ protocol: "saslSsl" }, "authenticationMode must be plain"],
    [{ protocol: "saslSsl", authenticationMode: "oAuthBearer" }, "authenticationMode must be plain"],
    [{ protocol: "saslSsl", authenticationMode: "plain", username: "me" }, "needs a password"],
    // So does the extension, though it would not use it.
    [{ protocol: "plaintext", password: "%NO_SUCH%" }, "needs the setting NO_SUCH"],
    [{ avroSchema: "{}" }, "can't do what avroSchema asks for"],
    [{ sslCaLocation: "ca.pem" }, "can't do what sslCaLocation asks for"],
  ])("%j is refused", (binding, message) => {
    expect(() => read(binding)).toThrow(message);
    expect(() => read(binding)).toThrow('function "f": ');
  });
});
