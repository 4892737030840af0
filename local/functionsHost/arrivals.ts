import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";
import { AmqpArrivals, ANY_PARTITION } from "./amqpArrivals.js";

/**
 * Tells that events have come over connections of this process to one port, and of which partition. The Event Hubs
 * SDK does not tell its users when events are there: a reader of it asks, and then waits 20 ms for more from the
 * first event on, or until its longest wait is over. Node publishes every client socket on a channel when it makes
 * the socket. Those of TLS it does not publish. What is no AMQP counts for every partition.
 */
export class Arrivals {
  readonly #port: number;
  readonly #waiting = new Set<() => void>();
  readonly #ofPartition = new Map<string, number>();
  #ofAny = 0;
  #isSeen = false;
  #isClosed = false;

  constructor(port: number) {
    this.#port = port;
    subscribe("net.client.socket", this.#watch);
  }

  /** Nothing is known of any connection yet. */
  get isBlind(): boolean {
    return !this.#isSeen;
  }

  /** How often something has come that may be an event of the partition, which is called as by `partitionOf`. */
  count(partition: string): number {
    return this.#ofAny + (this.#ofPartition.get(partition) ?? 0);
  }

  /**
   * Resolves when the partition's `count` is another one than `seen`, which it returns, after so many milliseconds, or
   * when it closes.
   */
  async since(partition: string, seen: number, milliseconds: number): Promise<boolean> {
    if (this.count(partition) !== seen) return true;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve();
      };
      const look = (): void => {
        if (this.#isClosed || this.count(partition) !== seen) end();
      };
      const timer = setTimeout(end, milliseconds);
      this.#waiting.add(look);
    });
    return this.count(partition) !== seen;
  }

  close(): void {
    unsubscribe("net.client.socket", this.#watch);
    this.#isClosed = true;
    this.#look();
  }

  readonly #watch = (message: unknown): void => {
    const { socket } = message as { readonly socket: Socket };
    const reader = new AmqpArrivals();
    // A listener more makes no difference to a socket that is read by events; others read in another way.
    socket.once("connect", () => {
      if (socket.remotePort === this.#port) socket.on("data", (bytes) => this.#read(reader, bytes));
    });
  };

  #read(reader: AmqpArrivals, bytes: Buffer): void {
    this.#isSeen = true;
    const come = reader.read(bytes);
    if (come === "unknown" || come.has(ANY_PARTITION)) this.#ofAny += 1;
    else for (const one of come) this.#ofPartition.set(one, (this.#ofPartition.get(one) ?? 0) + 1);
    if (come === "unknown" || come.size > 0) this.#look();
  }

  #look(): void {
    for (const look of this.#waiting) look();
  }
}
