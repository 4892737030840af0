import type { ReceivedEvent } from "../bus/eventBus.js";
import type { Stream, StreamPosition } from "../store/streamPositions.js";
import type { Transaction } from "../store/transaction.js";
import type { Refused } from "./deadLetters.js";
import type { TryDeps } from "./deps.js";
import type { Showing } from "./underWay.js";

/**
 * Has the events that were looked up stored with the transaction's next statements, but those that can never be
 * stored, which it returns with the reason.
 */
export type StoreEvents<Result> = () => Promise<Outcome<Result>>;

export interface Outcome<Result> {
  /** To be called after the commit. */
  readonly result: () => Result;
  readonly refused: readonly Refused[];
}

/**
 * What is done with the events of one hub, in the order in which `consumeBatch` calls it. `Result` is what
 * the transaction leaves for showing.
 */
export interface BatchHandler<Result> {
  /**
   * In the batch's transaction: looks up, and locks, what storing these consecutive events takes. It asks for that
   * before it awaits anything, so that it goes to the server together with what the caller asks for.
   */
  readonly lookUp: (tx: Transaction, events: readonly ReceivedEvent[]) => Promise<StoreEvents<Result>>;
  /** The hub that takes what was refused, before the commit. */
  readonly deadLetterHub: string;
  /** The result of storing nothing. */
  readonly nothing: Result;
  /** The results of two transactions as one. */
  readonly combine: (first: Result, second: Result) => Result;
  /**
   * After the commit. `before`, where given, is the batch before it, which is still being shown: to the destinations of
   * both nothing goes before that has ended, and where it fails this fails, too.
   */
  readonly show: (
    stream: Stream,
    result: Result,
    refused: readonly Refused[],
    before?: Showing,
  ) => Promise<void>;
  /**
   * How it is known what was shown. `byPosition`: the broadcast position moves when `show` has returned, and
   * events between the two positions go to `again`. `byOutbox`: `show` keeps what is still to be shown
   * itself, so there is no second position.
   */
  readonly shown:
    | {
        readonly kind: "byPosition";
        /** The destinations to which there is something to show. */
        readonly keysOf: (result: Result) => ReadonlySet<string>;
        /** Whether much has to be sent one behind the other, so that the next batch should not wait for it. */
        readonly isLong: (result: Result) => boolean;
        /** Shows events that were stored earlier but whose showing was interrupted, as far as `position` says. */
        readonly again: (
          stream: Stream,
          events: readonly ReceivedEvent[],
          position: StreamPosition,
        ) => Promise<void>;
      }
    | { readonly kind: "byOutbox" };
}

/** What a try works with. */
export interface Try<Result> extends TryDeps {
  readonly handler: BatchHandler<Result>;
  /** Has the batch shown again, after its call has ended. */
  readonly showLater: () => void;
}

/** Events up to `last` have just been stored; `position` is where the stream stood before. */
export interface Stored<Result> {
  readonly kind: "stored";
  readonly position: StreamPosition;
  readonly last: number;
  readonly result: Result;
  readonly refused: readonly Refused[];
  /** Whether this instance may show it now. */
  readonly isBroadcaster: boolean;
}

/**
 * What one transaction did. Nothing, where the batch begins later than the position (`behind`), or has another
 * event under the position's number (`goneBack`).
 */
export type Progress<Result> =
  | Stored<Result>
  | { readonly kind: "storedBefore" | "behind" | "goneBack"; readonly position: StreamPosition };
