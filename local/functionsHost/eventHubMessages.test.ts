import type { ReceivedEventData } from "@azure/event-hubs";
import { expect, test } from "vitest";
import { toInvocation } from "./eventHubMessages.js";

const PLACE = {
  fullyQualifiedNamespace: "ns",
  eventHubName: "hub",
  consumerGroup: "group",
  partitionId: "0",
};

const EVENT: ReceivedEventData = {
  body: Buffer.from("{}"),
  sequenceNumber: 7,
  offset: "123",
  enqueuedTimeUtc: new Date("2026-01-02T03:04:05.678Z"),
  partitionKey: "room",
  // The annotations that the SDK does not know: a publisher has named them.
  systemProperties: { SequenceNumber: 1, PartitionKey: "theirs", "x-opt-partition-key": "theirs", own: 1 },
  getRawAmqpMessage: () => {
    throw new Error("nobody asks for it");
  },
};

test("what a publisher annotates takes no name of the hub's", () => {
  const target = { functionId: "f", bindingName: "events", binary: true, many: true };
  const { triggerMetadata } = toInvocation(target, [EVENT], PLACE);
  const [told] = JSON.parse(triggerMetadata["SystemPropertiesArray"]!.json!);
  expect(told).toEqual({
    "x-opt-sequence-number": 7,
    "x-opt-offset": "123",
    "x-opt-enqueued-time": "2026-01-02T03:04:05.678Z",
    "x-opt-partition-key": "room",
    SequenceNumber: 7,
    Offset: "123",
    PartitionKey: "room",
    EnqueuedTimeUtc: "2026-01-02T03:04:05.678Z",
    own: 1,
  });
});
