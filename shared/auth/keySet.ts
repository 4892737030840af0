import type { KeyObject } from "node:crypto";
import { ChatError } from "../platform/errors.js";
import { candidatesOf, fetchKeySet, type KeyHint, type PublishedKey } from "./publishedKeys.js";

/**
 * Tries a token with the keys that may have signed it. `attempt` gets them in the order in which they are
 * tried, and answers nothing where none of them has. If a new key may have signed the token, `attempt` is
 * then called once more, with keys that were fetched for it.
 */
export type WithKeys = <T>(
  hint: KeyHint,
  attempt: (keys: readonly KeyObject[]) => Promise<T | undefined>,
) => Promise<T | undefined>;

export interface KeySetOptions {
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Hears why keys could not be fetched. The keys from before may still serve. */
  readonly onError?: (error: unknown) => void;
}

/** Keys are fresh until this age. Then they are stale: they are used while new ones are fetched. */
const FRESH_MS = 10 * 60_000;
/**
 * Keys are trusted until this age. Then the key server has been away for so long that no token is verified
 * without it.
 */
const TRUSTED_MS = 60 * 60_000;
/** Between two fetches because of tokens of an unknown key. */
const UNKNOWN_KEY_MS = 30_000;
/** After a failure nothing is fetched for this long. */
const FAILED_MS = 2_000;

/** The keys at a URL, fetched when first needed. */
export function remoteKeys(uri: string, options: KeySetOptions): WithKeys {
  const keys = new RemoteKeys(uri, options);
  return (hint, attempt) => keys.try(hint, attempt);
}

/**
 * The keys at a URL. They are fresh, then stale, then untrusted, by their age. A token that no key has
 * signed, and that names none, may be of a new key, so the keys are fetched for it; but only once in half a
 * minute, which bounds the cost of made-up key ids. A fetch for another reason doesn't count for that, so
 * keys that change right after one are found at once. Only keys that change while made-up ids come are found
 * late, by half a minute at most.
 */
class RemoteKeys {
  readonly #uri: string;
  readonly #now: () => number;
  readonly #onError: (error: unknown) => void;
  #published: readonly PublishedKey[] = [];
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #failedAt = Number.NEGATIVE_INFINITY;
  /** When keys were last fetched because of a token of an unknown key. */
  #askedAt = Number.NEGATIVE_INFINITY;
  #fetching: Promise<void> | undefined;

  constructor(uri: string, { now = Date.now, onError = () => {} }: KeySetOptions) {
    this.#uri = uri;
    this.#now = now;
    this.#onError = onError;
  }

  async try<T>(
    hint: KeyHint,
    attempt: (keys: readonly KeyObject[]) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const age = this.#age();
    if (age === "untrusted") await this.#fetch();
    else if (age === "stale") this.#fetch().catch(() => {});
    const { keys, isNamed } = candidatesOf(this.#published, hint);
    const result = await attempt(keys);
    if (result !== undefined || isNamed) return result;
    // Keys that were just fetched for this token would be no others a moment later.
    if (age === "untrusted" || !this.#mayHaveNewKey()) return undefined;
    this.#askedAt = this.#now();
    await this.#fetch();
    return attempt(candidatesOf(this.#published, hint).keys);
  }

  #age(): "fresh" | "stale" | "untrusted" {
    if (this.#isWithin(this.#fetchedAt, FRESH_MS)) return "fresh";
    return this.#isWithin(this.#fetchedAt, TRUSTED_MS) ? "stale" : "untrusted";
  }

  /**
   * Whether keys may be fetched for a token of an unknown key. A fetch that is under way costs nothing more.
   */
  #mayHaveNewKey(): boolean {
    return this.#fetching !== undefined || !this.#isWithin(this.#askedAt, UNKNOWN_KEY_MS);
  }

  /**
   * One fetch at a time, which all callers share. Throws `UNAVAILABLE`, without a fetch just after one that
   * failed.
   */
  #fetch(): Promise<void> {
    if (!this.#fetching && this.#isWithin(this.#failedAt, FAILED_MS))
      return Promise.reject(notFetched(undefined));
    this.#fetching ??= this.#fetchOnce().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetchOnce(): Promise<void> {
    try {
      this.#published = await fetchKeySet(this.#uri);
      this.#fetchedAt = this.#now();
    } catch (error) {
      this.#failedAt = this.#now();
      // The next token of an unknown key may ask again.
      this.#askedAt = Number.NEGATIVE_INFINITY;
      this.#onError(error);
      throw notFetched(error);
    }
  }

  /** A clock that was set back must not stretch a wait. */
  #isWithin(since: number, ms: number): boolean {
    const now = this.#now();
    return now >= since && now - since < ms;
  }
}

const notFetched = (cause: unknown): ChatError =>
  new ChatError("UNAVAILABLE", "The identity provider's keys can't be fetched; try again.", { cause });
