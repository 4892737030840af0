import type { EventBus } from "../bus/eventBus.js";
import type { Stream } from "../store/streamPositions.js";
import { instanceOf, type TryDeps } from "./deps.js";

/** What a batch shows, and when it has. */
export interface Showing {
  /** The destinations that it sends to. */
  readonly keys: ReadonlySet<string>;
  /** Fulfilled once all of it is shown and the position says so. */
  readonly done: Promise<void>;
}

/**
 * A batch that is shown while the next one of its partition is stored. In each process there is one at most for each
 * partition, and all that was stored before it is shown.
 */
export interface UnderWay extends Showing {
  readonly stream: Stream;
  /** The number of its last event. */
  readonly last: number;
  readonly handOver: HandOver;
}

/** How the lease goes from one batch to the next. Both are looked at and changed without awaiting in between. */
export class HandOver {
  /** The next batch is being stored, and has the lease from then on. */
  hasNext = false;
  /** All is sent, and the lease ends: what is stored next has to wait for that, and takes another one. */
  isEnding = false;
}

const all = new WeakMap<EventBus, Map<string, UnderWay>>();

const nameOf = ({ hub, partitionId }: Stream, deps: TryDeps): string =>
  `${instanceOf(deps)} ${hub} ${partitionId}`;

/**
 * The batch of this stream that is under way, which from now on leaves its lease to the next one, whose first event has
 * this number. Nothing where there is none, once its lease is over.
 */
export async function takeOver(stream: Stream, first: number, deps: TryDeps): Promise<UnderWay | undefined> {
  const before = all.get(deps.bus)?.get(nameOf(stream, deps));
  if (!before) return undefined;
  // Of a batch that comes again, or of a log that went back, nothing is stored before what it has was shown.
  const isAgain = first <= before.last || before.stream.hubId !== stream.hubId;
  if (before.handOver.isEnding || isAgain) {
    await ended(before);
    return undefined;
  }
  before.handOver.hasNext = true;
  return before;
}

/** Resolves when it has ended, in whichever way. */
export const ended = ({ done }: Showing): Promise<void> => done.catch(() => {});

/** From now on it is under way, until it is done. */
export function goOn(one: UnderWay, deps: TryDeps): void {
  const ofBus = all.get(deps.bus) ?? new Map<string, UnderWay>();
  all.set(deps.bus, ofBus);
  const name = nameOf(one.stream, deps);
  ofBus.set(name, one);
  void ended(one).then(() => {
    if (ofBus.get(name) === one) ofBus.delete(name);
  });
}

/** Resolves once nothing of this bus is under way any more. */
export async function allShown(bus: EventBus): Promise<void> {
  await Promise.all([...(all.get(bus)?.values() ?? [])].map(ended));
}

const closing = new WeakSet<EventBus>();

/** The process ends: the same, and what is not shown by then is left to another one. */
export function endShowing(bus: EventBus): Promise<void> {
  closing.add(bus);
  return allShown(bus);
}

export const isClosing = (bus: EventBus): boolean => closing.has(bus);
