import { setTimeout as pause } from "node:timers/promises";

/** The answer of `within` when the work was not done in time. */
export const LATE = Symbol("late");

/**
 * The result of `work`, or `LATE` after `ms` milliseconds. Late work goes on, and its failure is ignored.
 * Throws an error that the work throws in time.
 */
export function within<T>(ms: number, work: Promise<T>): Promise<T | typeof LATE> {
  // It is on the way of each message: an abort signal would cost an error with a stack each time.
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(LATE), ms);
    const settle = (end: () => void): void => {
      clearTimeout(timer);
      end();
    };
    work.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    );
  });
}

/**
 * Does `work` for each item, in order, at most `atOnce` at a time. After a failure no more work begins.
 * Throws the first failure once all work that has begun has ended.
 */
export async function inParallel<T>(
  atOnce: number,
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const failures: unknown[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length && failures.length === 0) {
      const item = items[next] as T;
      next += 1;
      try {
        await work(item);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  if (failures.length > 0) throw failures[0];
}

/**
 * The results of all of these, in this order. Throws what the first of them in this order has failed with, once all
 * have ended: `Promise.all` would not wait for the others.
 */
export async function allEnded<const T extends readonly unknown[]>(
  work: T,
): Promise<{ readonly [Index in keyof T]: Awaited<T[Index]> }> {
  const ends = await Promise.allSettled(work);
  for (const end of ends) if (end.status === "rejected") throw end.reason;
  return ends.map((end) => (end as PromiseFulfilledResult<unknown>).value) as never;
}

/**
 * A pause between 0 and `most`. Those who lost the same server at the same moment don't come back in step
 * ("full jitter": Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
 */
export const fullJitter = (most: number): number => Math.random() * most;

/**
 * The result of `work`, which is tried again after each of the pauses (at most so many milliseconds, with
 * full jitter). Throws the last failure, or the first failure that is not worth another try.
 */
export async function retrying<T>(
  pauses: readonly number[],
  work: () => Promise<T>,
  isWorthwhile: (error: unknown) => boolean = () => true,
): Promise<T> {
  for (const wait of pauses) {
    try {
      return await work();
    } catch (error) {
      if (!isWorthwhile(error)) throw error;
      await pause(fullJitter(wait));
    }
  }
  return work();
}

/**
 * Runs what has the same owner and key one after the other, in the order of the calls, whether or not it fails.
 */
export function oneByOne<Owner extends object>(): <T>(
  owner: Owner,
  key: string,
  work: () => Promise<T>,
) => Promise<T> {
  const lasts = new WeakMap<Owner, Map<string, Promise<unknown>>>();
  return (owner, key, work) => {
    const last = lasts.get(owner) ?? new Map<string, Promise<unknown>>();
    lasts.set(owner, last);
    const running = (last.get(key) ?? Promise.resolve()).then(work, work);
    last.set(key, running);
    const forget = (): void => {
      if (last.get(key) === running) last.delete(key);
    };
    running.then(forget, forget);
    return running;
  };
}

/** Groups items by key, in order, and picks a value from each. (`Map.groupBy` needs Node 21.) */
export function groupBy<T, Key, Picked = T>(
  items: Iterable<T>,
  keyOf: (item: T) => Key,
  pick: (item: T) => Picked = (item) => item as unknown as Picked,
): Map<Key, Picked[]> {
  const groups = new Map<Key, Picked[]>();
  for (const item of items) {
    const key = keyOf(item);
    const known = groups.get(key);
    if (known) known.push(pick(item));
    else groups.set(key, [pick(item)]);
  }
  return groups;
}
