import { appendFileSync, existsSync } from "node:fs";
import { app } from "@azure/functions";

// What was called with what, a line of JSON when a call begins and one when it ends, for the test to read.
const note = (line) =>
  appendFileSync(process.env.CALL_LOG, `${JSON.stringify({ pid: process.pid, ...line })}\n`);

const textOf = (event) => (Buffer.isBuffer(event) ? event.toString("latin1") : event);

async function handle(events, { triggerMetadata: metadata, retryContext: retry }) {
  const texts = events.map(textOf);
  note({ begin: texts, isBuffer: Buffer.isBuffer(events[0]), metadata, retry });
  if (process.env.CALL_MS) await new Promise((resolve) => setTimeout(resolve, process.env.CALL_MS));
  const fails = texts.some((text) => String(text).startsWith("poison"));
  if (fails && !existsSync(process.env.HEALED)) throw new Error("poisoned");
  note({ end: texts });
}

const retry = process.env.RETRIES && {
  retry: {
    strategy: "fixedDelay",
    delayInterval: { seconds: 1 },
    maxRetryCount: Number(process.env.RETRIES),
  },
};

if (process.env.PARCELS !== undefined)
  app.generic("parcels", {
    trigger: {
      type: "kafkaTrigger",
      brokerList: "%KAFKA%",
      topic: "%PARCELS_TOPIC%",
      consumerGroup: "readers",
      ...JSON.parse(process.env.PARCELS),
    },
    ...retry,
    handler: (input, context) => handle(Array.isArray(input) ? input : [input], context),
  });
