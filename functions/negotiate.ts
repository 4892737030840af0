import { app } from "@azure/functions";
import { getApp } from "../shared/app.js";
import { problem } from "./http.js";

const chat = getApp();

app.http("negotiate", {
  methods: ["POST"],
  authLevel: "anonymous",
  handler: async (request, context) => {
    try {
      const authorization = request.headers.get("authorization");
      const caller = await chat.authenticate(authorization);
      return { jsonBody: await chat.negotiate(caller, authorization) };
    } catch (thrown) {
      return problem(thrown, context);
    }
  },
});
