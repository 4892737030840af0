import { app } from "@azure/functions";
import { getApp } from "../shared/app.js";
import { authenticated, optionalJsonBody } from "./http.js";

const chat = getApp();

app.http("logOut", {
  route: "sessions/logout",
  methods: ["POST"],
  authLevel: "anonymous",
  handler: authenticated("writes", async ({ request, callerId }) => ({
    jsonBody: await chat.logOut(await optionalJsonBody(request), callerId),
  })),
});
