import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";

/**
 * Tells that bytes have come over connections of this process to one port. The Event Hubs SDK does not tell its
 * users when events are there: a reader of it asks, and then waits 20 ms for more from the first event on, or until
 * its longest wait is over. Node publishes every client socket on a channel when it makes the socket.
 */
export class Arrivals {
  readonly #port: number;
  readonly #waiting = new Set<() => void>();
  #count = 0;

  constructor(port: number) {
    this.#port = port;
    subscribe("net.client.socket", this.#watch);
  }

  /** How often bytes have come. 0 says that nothing is known, as no connection was seen. */
  get count(): number {
    return this.#count;
  }

  /** Resolves when `count` is another one than `seen`, after so many milliseconds, or when it closes. */
  async since(seen: number, milliseconds: number): Promise<void> {
    if (this.#count !== seen) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(end);
        resolve();
      };
      const timer = setTimeout(end, milliseconds);
      this.#waiting.add(end);
    });
  }

  close(): void {
    unsubscribe("net.client.socket", this.#watch);
    this.#come();
  }

  readonly #watch = (message: unknown): void => {
    const { socket } = message as { readonly socket: Socket };
    // A listener more makes no difference to a socket that is read by events; others read in another way.
    socket.once("connect", () => socket.remotePort === this.#port && socket.on("data", this.#come));
  };

  readonly #come = (): void => {
    this.#count += 1;
    for (const end of this.#waiting) end();
  };
}
