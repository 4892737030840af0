import { app } from "@azure/functions";
import { getApp } from "../shared/app.js";
import { batchesOf } from "./eventHub.js";

const chat = getApp();

app.eventHub("chatMessages", batchesOf("chat-messages", "chat-persist", chat.messages));
