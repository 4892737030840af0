import { app } from "@azure/functions";
import { getApp } from "../shared/app.js";

const chat = getApp();

app.http("health", {
  methods: ["GET"],
  authLevel: "anonymous",
  handler: async () => {
    const { healthy, report } = await chat.health();
    return { status: healthy ? 200 : 503, jsonBody: report };
  },
});
