import { app } from "@azure/functions";
import { getApp } from "../shared/app.js";
import { batchesOf } from "./eventHub.js";

const chat = getApp();

app.eventHub("readEvents", batchesOf("chat-read-events", "chat-read", chat.reads));
