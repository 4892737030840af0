import { appendFileSync, existsSync } from "node:fs";
import { app } from "@azure/functions";

// What was called with what, a line of JSON a call, for the test to read.
function note(function_, events, context) {
  const texts = events.map((event) => (Buffer.isBuffer(event) ? event.toString() : event));
  const { triggerMetadata: metadata, retryContext: retry } = context;
  const partition = metadata.partitionContext.partitionId;
  const line = {
    function: function_,
    pid: process.pid,
    partition,
    texts,
    isBuffer: Buffer.isBuffer(events[0]),
    metadata,
    retry,
  };
  appendFileSync(process.env.CALL_LOG, `${JSON.stringify(line)}\n`);
}

const source = { connection: "EVENT_HUBS", eventHubName: "%ORDERS_HUB%", consumerGroup: "%ORDERS_GROUP%" };

if (process.env.ORDERS === "many")
  app.eventHub("orders", {
    ...source,
    cardinality: "many",
    dataType: "binary",
    retry: {
      strategy: "fixedDelay",
      delayInterval: { seconds: 1 },
      maxRetryCount: Number(process.env.RETRIES ?? 0),
    },
    handler: async (events, context) => {
      note("orders", events, context);
      context.log("a password in a log line");
      const fails = events.some((event) => event.toString().startsWith("poison"));
      if (fails && !existsSync(process.env.HEALED)) throw new Error("poisoned");
    },
  });

if (process.env.ORDERS === "one")
  app.eventHub("orders", {
    ...source,
    cardinality: "one",
    handler: (event, context) => note("orders", [event], context),
  });
