import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { LOOPBACK } from "../../../local/ports.js";

/** How slow a link is: each piece of bytes comes so much later, and takes its time. */
export interface Slowness {
  readonly latencyMs: number;
  readonly bytesPerSecond: number;
}

/**
 * Looks at what goes by on a connection, told by its number; with `true` these bytes stay away and the connection
 * is reset.
 */
export type Watcher = (bytes: Buffer, isFromClient: boolean, connection: number) => boolean;

type Mood = "open" | "hung" | Slowness;

/** No piece waits longer, however slow its link is: a piece has 64 KiB at most. */
const LONGEST_PIECE_MS = 5_000;

/**
 * The only way between two parts of the stack: it passes bytes on to a port of this machine, and can be cut,
 * refuse, hang or be slow.
 */
export class Link {
  readonly port: number;
  /** How many connections there have been. */
  opened = 0;
  #mood: Mood = "open";
  #server: Server | undefined;
  #healed: Promise<void> = Promise.resolve();
  #goOn: () => void = () => {};
  readonly #target: number;
  readonly #pairs = new Set<readonly Socket[]>();
  watch: Watcher | undefined;

  constructor(port: number, target: number) {
    this.port = port;
    this.#target = target;
  }

  /** Listens on the link's port. */
  async open(): Promise<void> {
    const server = createServer((near) => void this.#accept(near));
    this.#server = server;
    server.listen({ port: this.port, host: LOOPBACK });
    await once(server, "listening");
  }

  /** Resets every connection and returns how many there were. What was under way in either direction is lost. */
  cut(): number {
    const { size } = this.#pairs;
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
    return size;
  }

  /** Resets every connection and refuses new ones until `heal`. */
  async refuse(): Promise<void> {
    await this.#close();
  }

  /** Connections stay, and new ones are accepted; nothing is passed on until `heal`, and then all of it. */
  hang(): void {
    this.#mood = "hung";
    this.#healed = new Promise((resolve) => {
      this.#goOn = resolve;
    });
  }

  slow(slowness: Slowness): void {
    this.#mood = slowness;
  }

  async heal(): Promise<void> {
    this.#mood = "open";
    this.#goOn();
    if (!this.#server) await this.open();
  }

  /** Ends the link for good. */
  async close(): Promise<void> {
    this.#goOn();
    await this.#close();
  }

  async #close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = once(server, "close");
    server.close();
    this.cut();
    await closed;
  }

  async #accept(near: Socket): Promise<void> {
    near.setNoDelay(true).on("error", () => {});
    // A connection that is made while the link hangs goes on to its target later.
    await this.#passable(0);
    if (near.destroyed) return;
    const far = connect({ host: LOOPBACK, port: this.#target, noDelay: true });
    const pair = [near, far];
    this.opened += 1;
    this.#pairs.add(pair);
    const end = (): void => {
      this.#pairs.delete(pair);
      for (const socket of pair) socket.destroy();
    };
    far.on("error", () => near.resetAndDestroy());
    for (const socket of pair) socket.on("close", end);
    const connection = this.opened;
    void this.#pass(near, far, (bytes) => this.watch?.(bytes, true, connection) ?? false);
    void this.#pass(far, near, (bytes) => this.watch?.(bytes, false, connection) ?? false);
  }

  /** One direction, in order, no faster than the receiver takes it. */
  async #pass(from: Socket, to: Socket, isCutAt: (bytes: Buffer) => boolean): Promise<void> {
    try {
      for await (const bytes of from.iterator({ destroyOnReturn: false })) {
        await this.#passable(bytes.length);
        if (isCutAt(bytes)) return void [from, to].map((socket) => socket.resetAndDestroy());
        if (!to.write(bytes) && !to.destroyed) await Promise.race([once(to, "drain"), once(to, "close")]);
      }
      to.end();
    } catch {
      // Reset by either side; the listeners of "close" end both.
      for (const socket of [from, to]) socket.destroy();
    }
  }

  async #passable(bytes: number): Promise<void> {
    if (this.#mood === "open") return;
    if (this.#mood === "hung") return this.#healed;
    const { latencyMs, bytesPerSecond } = this.#mood;
    await sleep(Math.min(latencyMs + (1_000 * bytes) / bytesPerSecond, LONGEST_PIECE_MS));
  }
}
