import { storeHub } from "./hub.js";

storeHub("chatMessages", "chat-messages", "chat-persist", ({ messages }) => messages);
