import { app } from "@azure/functions";
import { getApp } from "../shared/app.js";
import { authenticated } from "./http.js";

const chat = getApp();

app.http("negotiate", {
  methods: ["POST"],
  authLevel: "anonymous",
  handler: authenticated("negotiates", async ({ request, caller }) => ({
    jsonBody: await chat.negotiate(caller, request.headers.get("authorization")),
  })),
});
