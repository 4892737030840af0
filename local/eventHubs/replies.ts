import type { RheaSender } from "./rhea.js";

/** The two request-reply addresses every connection has. */
export type RequestAddress = "$cbs" | "$management";

/** How many replies may wait for credit. The oldest is dropped first. */
const MAX_WAITING = 100;

/** A link on which a client takes the replies to its requests. */
export class ReplyLink {
  readonly link: RheaSender;
  readonly address: RequestAddress;
  #waiting: object[] = [];
  #unwritten: number[] = [];

  constructor(link: RheaSender, address: RequestAddress) {
    this.link = link;
    this.address = address;
  }

  /** Clients name their reply link by its name or by its target. */
  isNamed(replyTo: string): boolean {
    return this.link.local.attach.name === replyTo || this.link.target?.address === replyTo;
  }

  send(message: object): void {
    if (this.#waiting.push(message) > MAX_WAITING) this.#waiting.shift();
    this.pump();
  }

  /**
   * Sends the replies that the credit allows. rhea would hold everything else of the session back behind a
   * reply without credit.
   */
  pump(): void {
    while (this.#waiting.length > 0 && this.#maySend())
      this.#unwritten.push(this.link.send(this.#waiting.shift()!).id);
    if (this.link._draining && this.#waiting.length === 0) this.link.set_drained(true);
  }

  /** rhea takes credit off only when a transfer is written. */
  #maySend(): boolean {
    const { link } = this;
    const { outgoing } = link.session;
    this.#unwritten = this.#unwritten.filter((id) => id >= outgoing.next_pending_delivery);
    return link.is_open() && outgoing.available() > 0 && link.credit > this.#unwritten.length;
  }
}
