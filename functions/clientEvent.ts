import { app } from "@azure/functions";
import { getApp } from "../shared/app.js";

const chat = getApp();

// Anonymous to the Functions host: every event proves by ce-signature that it comes from the socket service.
app.http("clientEvent", {
  route: "upstream/{event}",
  methods: ["POST", "OPTIONS"],
  authLevel: "anonymous",
  handler: async (request, { traceContext }) =>
    chat.upstream({
      method: request.method,
      headers: {
        ...(traceContext?.traceParent ? { traceparent: traceContext.traceParent } : {}),
        ...Object.fromEntries(request.headers.entries()),
      },
      body: Buffer.from(await request.arrayBuffer()),
    }),
});
