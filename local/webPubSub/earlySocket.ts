import type { Duplex } from "node:stream";
import { Stop } from "./stop.js";

/** A limit for bytes before the handshake is answered, when a client has no reason to send any. */
const MAX_EARLY_BYTES = 64 * 1024;

export interface EarlySocket {
  /** Comes when the client is gone. */
  readonly gone: Stop;
  /** Ends the watch and pauses the socket. Returns the bytes that the client has sent meanwhile. */
  stop(): Buffer;
}

/**
 * Watches a socket whose handshake is not answered yet. The socket has to be read, because only then does its
 * end show.
 */
export function watchEarly(socket: Duplex, head: Buffer): EarlySocket {
  const gone = new Stop();
  const chunks = [head];
  let size = head.length;
  const leave = () => gone.now("the client has gone");
  const take = (chunk: Buffer) => {
    size += chunk.length;
    if (size > MAX_EARLY_BYTES) socket.destroy();
    else chunks.push(chunk);
  };
  socket.on("data", take).on("end", leave).on("close", leave);
  return {
    gone,
    stop() {
      socket.off("data", take).off("end", leave).off("close", leave).pause();
      return Buffer.concat(chunks);
    },
  };
}
