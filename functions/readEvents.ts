import { storeHub } from "./hub.js";

storeHub("readEvents", "chat-read-events", "chat-read", ({ reads }) => reads);
