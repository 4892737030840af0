import { app } from "@azure/functions";
import { getApp } from "../shared/app.js";

const chat = getApp();

app.http("openApi", {
  route: "openapi.json",
  methods: ["GET"],
  authLevel: "anonymous",
  handler: async () => ({ jsonBody: chat.openApi() }),
});
