import { app } from "@azure/functions";
import { getApp } from "../shared/app.js";

const chat = getApp();

// One instance runs the timer at a time. Doing the work twice is harmless.
app.timer("sweep", {
  schedule: "*/5 * * * * *",
  handler: () => chat.sweep(),
});
