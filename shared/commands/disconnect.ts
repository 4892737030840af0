import type { Command } from "./command.js";

/** DISCONNECT: the connection is closed once the RECEIPT, if one was asked for, is with the client. */
export const disconnect: Command = async (_received, { state }) => ({ frames: [], state, next: "close" });
