import { app } from "@azure/functions";
import { getApp } from "../shared/app.js";
import { trusted } from "./http.js";

const chat = getApp();

app.http("withdrawUser", {
  route: "users/{userId}/rooms",
  methods: ["DELETE"],
  authLevel: "anonymous",
  handler: trusted(async (request) => ({ jsonBody: await chat.withdrawUser(request.params) })),
});
