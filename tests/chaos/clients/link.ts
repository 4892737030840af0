import type WebSocket from "ws";
import type { Frame } from "./stompFrames.js";

/** What a connection tells its client. Nothing comes after `closed`, which comes once. */
export interface Hearing {
  connected(): void;
  frame(frame: Frame): void;
  closed(): void;
}

/** One STOMP connection, by whichever library. */
export interface Link {
  send(frame: Frame): void;
  /** The id of this connection's next subscription. */
  subscriptionId(destination: string): string;
  /** Ends it in an orderly way. */
  end(): void;
  /** Drops the socket at once. */
  cut(): void;
}

export type OpenLink = (url: string, hearing: Hearing) => Link;

const PING_MS = 3_000;
const SILENCE_MS = 12_000;

/** Cuts a socket on which nothing was heard for twelve seconds, though it was asked four times. */
export function watch(socket: WebSocket): void {
  let heard = Date.now();
  const hear = (): void => {
    heard = Date.now();
  };
  const timer = setInterval(() => {
    if (Date.now() - heard > SILENCE_MS) socket.terminate();
    else if (socket.readyState === socket.OPEN) socket.ping();
  }, PING_MS);
  socket.on("pong", hear).on("message", hear).on("open", hear);
  socket.on("close", () => clearInterval(timer));
}
