import { setTimeout as sleep } from "node:timers/promises";
import type { Link, OpenLink } from "./link.js";
import type { Frame } from "./stompFrames.js";

/** What becomes of a frame that asked for a RECEIPT. `lost`: the connection ended before an answer. */
export type Answer =
  | { readonly kind: "receipt" }
  | { readonly kind: "lost" }
  | { readonly kind: "refused"; readonly code: string; readonly text: string };

const CONNECTED_MS = 10_000;
const ANSWERED_MS = 25_000;
/** A library that never says that its socket is closed holds its client up no longer. */
const CLOSED_MS = 5_000;

/** One connection from its opening to its end. Frames that are no answers go to `hear`. */
export class Session {
  readonly #link: Link;
  readonly #waiting = new Map<string, (answer: Answer) => void>();
  readonly #hear: (frame: Frame) => void;
  #receipts = 0;
  #isConnected = false;
  #isClosed = false;
  #onConnected: (connected: boolean) => void = () => undefined;
  #onClosed: () => void = () => undefined;
  /** Whether the CONNECTED frame came. */
  readonly connected = new Promise<boolean>((resolve) => {
    this.#onConnected = resolve;
  });
  readonly closed = new Promise<void>((resolve) => {
    this.#onClosed = resolve;
  });

  constructor(
    open: OpenLink,
    url: string,
    readonly number: number,
    hear: (frame: Frame) => void,
  ) {
    this.#hear = hear;
    this.#link = open(url, {
      connected: () => {
        this.#isConnected = true;
        this.#onConnected(true);
      },
      frame: (frame) => this.#take(frame),
      closed: () => this.#close(),
    });
    setTimeout(() => this.#isConnected || this.cut(), CONNECTED_MS).unref();
  }

  get isOpen(): boolean {
    return this.#isConnected && !this.#isClosed;
  }

  /** Sends a frame and resolves with its answer. Cuts a connection that doesn't answer within 25 seconds. */
  async ask(frame: Frame): Promise<Answer> {
    if (!this.isOpen) return { kind: "lost" };
    const receipt = `r-${this.#receipts++}`;
    const answer = new Promise<Answer>((resolve) => this.#waiting.set(receipt, resolve));
    this.#link.send({ ...frame, headers: { ...frame.headers, receipt } });
    const timer = setTimeout(() => this.cut(), ANSWERED_MS);
    return answer.finally(() => clearTimeout(timer));
  }

  tell(frame: Frame): void {
    if (this.isOpen) this.#link.send(frame);
  }

  subscriptionId(destination: string): string {
    return this.#link.subscriptionId(destination);
  }

  cut(): void {
    this.#link.cut();
    void sleep(CLOSED_MS, undefined, { ref: false }).then(() => this.#close());
  }

  async end(): Promise<void> {
    this.#link.end();
    await Promise.race([this.closed, sleep(CLOSED_MS, undefined, { ref: false })]);
    this.cut();
  }

  /** Settles what waits for this frame, if anything does; every frame but a RECEIPT is heard, too. */
  #take(frame: Frame): void {
    if (this.#isClosed) return;
    const receipt = frame.headers["receipt-id"] ?? "";
    const settle = this.#waiting.get(receipt);
    this.#waiting.delete(receipt);
    if (frame.command === "RECEIPT") settle?.({ kind: "receipt" });
    else if (settle) settle({ kind: "refused", ...refusalOf(frame) });
    else this.#hear(frame);
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const settle of this.#waiting.values()) settle({ kind: "lost" });
    this.#waiting.clear();
    this.#onConnected(false);
    this.#onClosed();
  }
}

/** Code and text of an error as section "Errors" of the protocol has it. */
export function refusalOf({ headers, body }: Frame): { code: string; text: string } {
  try {
    const { code = "?", message = "" } = JSON.parse(body);
    return { code: String(code), text: String(message) };
  } catch {
    return { code: "?", text: headers["message"] ?? body.slice(0, 200) };
  }
}
