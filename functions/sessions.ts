import { app } from "@azure/functions";
import { getApp } from "../shared/app.js";
import { authenticated, parseOptionalJson } from "./http.js";

const chat = getApp();

app.http("logOut", {
  route: "sessions/logout",
  methods: ["POST"],
  authLevel: "anonymous",
  handler: authenticated("writes", async ({ body, callerId }) => ({
    jsonBody: await chat.logOut(parseOptionalJson(body), callerId),
  })),
});
