import type { ErrorCode } from "./errors.js";
export const count = {
  sessionOpened(): void {},
  sessionEnded(_reason: string): void {},
  refused(_code: ErrorCode, _by: "stomp" | "http" | "handshake" | "upstream"): void {},
  limitsOpen(): void {},
};
