import { app } from "@azure/functions";
import { getApp } from "../shared/app.js";

const chat = getApp();

// One instance runs a timer at a time. What it does is harmless to do twice.
app.timer("sweep", {
  schedule: "*/5 * * * * *",
  handler: () => chat.sweep(),
});
