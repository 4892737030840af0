import { app } from "@azure/functions";
import { getApp } from "../shared/app.js";

const chat = getApp();

// CONNECTED promises one heart-beat a minute, so there are two. The timer is apart from the sweep, which may
// take long.
app.timer("heartBeat", {
  schedule: "*/30 * * * * *",
  handler: () => chat.beat(),
});
