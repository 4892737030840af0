import type { Duplex } from "node:stream";

/** A client has no reason to say anything before its handshake is answered. */
const MAX_EARLY_BYTES = 64 * 1024;

export interface EarlySocket {
  /** Aborts when the client has gone. */
  readonly gone: AbortSignal;
  /** Ends the watch and pauses the socket; what the client has sent meanwhile. */
  stop(): Buffer;
}

/** Watches a socket whose handshake is not answered yet: only a socket that is read tells that it ends. */
export function watchEarly(socket: Duplex, head: Buffer): EarlySocket {
  const gone = new AbortController();
  const chunks = [head];
  let size = head.length;
  const leave = () => gone.abort();
  const take = (chunk: Buffer) => {
    size += chunk.length;
    if (size > MAX_EARLY_BYTES) socket.destroy();
    else chunks.push(chunk);
  };
  socket.on("data", take).on("end", leave).on("close", leave);
  return {
    gone: gone.signal,
    stop() {
      socket.off("data", take).off("end", leave).off("close", leave).pause();
      return Buffer.concat(chunks);
    },
  };
}
