import { appendFileSync, existsSync } from "node:fs";
import { app } from "@azure/functions";

const note = (line) =>
  appendFileSync(process.env.CALL_LOG, `${JSON.stringify({ pid: process.pid, ...line })}\n`);

// A timer whose schedule and behaviour the test chooses; each call leaves a line when it begins and one when it ends.
if (process.env.TICK !== undefined)
  app.timer("tick", {
    schedule: process.env.TICK,
    runOnStartup: process.env.TICK_ON_STARTUP === "true",
    useMonitor: process.env.TICK_MONITOR !== "false",
    ...(process.env.RETRIES && {
      retry: {
        strategy: "fixedDelay",
        delayInterval: { seconds: 1 },
        maxRetryCount: Number(process.env.RETRIES),
      },
    }),
    handler: async (timer, context) => {
      note({ begin: timer, retry: context.retryContext, metadata: context.triggerMetadata ?? "none" });
      if (process.env.TICK_MS) await new Promise((resolve) => setTimeout(resolve, process.env.TICK_MS));
      if (process.env.HEALED && !existsSync(process.env.HEALED)) throw new Error("poisoned");
      note({ end: true });
    },
  });
