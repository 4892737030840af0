export { ChatClient, type ChatClientOptions, type ChatEvents } from "./chatClient.js";
export { ChatError, type ChatErrorDetails, type ErrorCode, isFinal } from "./errors.js";
export { memoryOutbox } from "./outbox.js";
export type { Room } from "./room.js";
export { type RefusalDetail, type StompProtocolOptions, stompProtocol } from "./stompProtocol.js";
export { isSystem, subjectsOf } from "./systemMessages.js";
export type { ChatTiming } from "./timing.js";
export type { TokenSource } from "./tokens.js";
export type * from "./types.js";
