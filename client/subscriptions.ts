import { type ChatError, toChatError } from "./errors.js";
import { isPassing } from "./http.js";
import type { Link } from "./link.js";
import { type ChatTiming, pauseAfter, sleep } from "./timing.js";

/** A part of the client that wants to hear a destination. */
export interface Listener {
  /** The order of the SUBSCRIBEs on a new connection: the lowest goes first. */
  readonly priority: number;
  readonly onMessage?: (data: unknown) => void;
  /** From now on no message is missed. Called again each time the subscription is made again. */
  readonly onJoined?: () => void;
  /** The service has refused the subscription for good, with `NOT_A_MEMBER` for example. */
  readonly onRefused?: (error: ChatError) => void;
  /** The last `seq` that the listener has, where it has one: the service sends what came after it. */
  readonly lastSeq?: () => number | undefined;
}

interface Subscription {
  readonly destination: string;
  readonly listeners: Set<Listener>;
  /** The link on which it is subscribed, or is about to be. */
  link: Link | undefined;
  joined: boolean;
}

export interface SubscriptionsOptions {
  readonly timing: ChatTiming;
  /** Hears what was not expected. */
  readonly onError: (error: ChatError) => void;
}

/** The subscriptions of all connections: they stay, and are made again on each. */
export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #all = new Map<string, Subscription>();
  #link: Link | undefined;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  /** Listens from now on, over reconnects. Returns what ends it. */
  listen(destination: string, listener: Listener): () => void {
    const subscription = this.#all.get(destination) ?? {
      destination,
      listeners: new Set<Listener>(),
      link: undefined,
      joined: false,
    };
    this.#all.set(destination, subscription);
    subscription.listeners.add(listener);
    if (subscription.joined)
      queueMicrotask(() => subscription.listeners.has(listener) && listener.onJoined?.());
    else if (this.#link && subscription.link !== this.#link) void this.#join(subscription, this.#link);
    return () => this.#end(subscription, listener);
  }

  /**
   * Makes a subscription again on the same connection. The service may have ended it with the user's
   * membership, and the user may be a member again: then it is joined, else refused.
   */
  again(destination: string): void {
    const subscription = this.#all.get(destination);
    if (!subscription || !this.#link) return;
    // It is about to be made anyway. A refused one has no link.
    if (!subscription.joined && subscription.link === this.#link) return;
    subscription.joined = false;
    void this.#join(subscription, this.#link);
  }

  /** From now on what is listened to is subscribed on this link. */
  begin(link: Link): void {
    this.#link = link;
  }

  /**
   * All at once, in the order of their priorities: the service takes a connection's frames one after the
   * other.
   */
  joinAll(link: Link): void {
    const wanted = [...this.#all.values()].sort((a, b) => priorityOf(a) - priorityOf(b));
    // A listener that heard of the connection may have subscribed already.
    for (const subscription of wanted) if (subscription.link !== link) void this.#join(subscription, link);
  }

  /** The link was lost. */
  end(link: Link): void {
    if (this.#link === link) this.#link = undefined;
    for (const subscription of this.#all.values())
      if (subscription.link === link) Object.assign(subscription, { link: undefined, joined: false });
  }

  /** Hands a message to those who listen to its destination. */
  take(destination: string, data: unknown): void {
    for (const { onMessage } of this.#listenersOf(destination)) this.tell(() => onMessage?.(data));
  }

  /** Runs a listener. Where it fails that is told, and the others hear of the same. */
  tell(hear: () => void): void {
    try {
      hear();
    } catch (thrown) {
      toChatError(thrown, this.#options.onError);
    }
  }

  /**
   * The listener with the fewest messages decides from where the service sends; the others drop what they
   * have.
   */
  headersOf(destination: string): Readonly<Record<string, string>> {
    const seqs = this.#listenersOf(destination).flatMap(({ lastSeq }) => lastSeq?.() ?? []);
    return seqs.length === 0 ? {} : { "last-seq": String(Math.min(...seqs)) };
  }

  /** A copy: a listener may end another one. */
  #listenersOf(destination: string): readonly Listener[] {
    return [...(this.#all.get(destination)?.listeners ?? [])];
  }

  #end(subscription: Subscription, listener: Listener): void {
    const { destination, listeners, link } = subscription;
    if (!listeners.delete(listener) || listeners.size > 0) return;
    if (this.#all.get(destination) === subscription) this.#all.delete(destination);
    if (link === this.#link) this.#link?.leave(destination).catch(() => {});
    subscription.link = undefined;
  }

  async #join(subscription: Subscription, link: Link): Promise<void> {
    const isWanted = () => this.#link === link && subscription.link === link;
    subscription.link = link;
    for (let failures = 0; isWanted(); failures += 1) {
      try {
        await link.join(subscription.destination);
        if (isWanted()) this.#onJoined(subscription);
        return;
      } catch (thrown) {
        const error = toChatError(thrown, this.#options.onError);
        // The next connection makes it.
        if (!isWanted() || error.code === "OFFLINE") return;
        if (!isPassing(error)) {
          this.#onRefused(subscription, error);
          return;
        }
        await sleep(pauseAfter(error, failures, this.#options.timing));
      }
    }
  }

  #onJoined(subscription: Subscription): void {
    subscription.joined = true;
    for (const { onJoined } of [...subscription.listeners]) this.tell(() => onJoined?.());
  }

  #onRefused(subscription: Subscription, error: ChatError): void {
    subscription.link = undefined;
    for (const { onRefused } of [...subscription.listeners]) this.tell(() => onRefused?.(error));
  }
}

const priorityOf = ({ listeners }: Subscription): number =>
  Math.min(...[...listeners].map(({ priority }) => priority));
