import { app } from "@azure/functions";
import { getApp } from "../shared/app.js";

const chat = getApp();

// Twice in the minute that CONNECTED promises. By itself, so that nothing which takes long holds it up.
app.timer("heartBeat", {
  schedule: "*/30 * * * * *",
  handler: () => chat.beat(),
});
