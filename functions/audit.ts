import { app } from "@azure/functions";
import { getApp } from "../shared/app.js";

const { audit } = getApp();

// One instance runs the timer at a time. The settings say when, and whether at all.
if (audit)
  app.timer("audit", {
    schedule: audit.schedule,
    handler: () => audit.run(),
  });
