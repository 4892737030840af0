import { setTimeout as sleep } from "node:timers/promises";

/** Resolves as `work` does, but throws at once when it is aborted. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal?.reason);
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) stop();
    void work.then(resolve, reject).finally(() => signal?.removeEventListener("abort", stop));
  });
}

/** Waits until `isTrue`, at most so long, and says whether it came true. */
export async function within(ms: number, isTrue: () => boolean | Promise<boolean>): Promise<boolean> {
  const end = performance.now() + ms;
  while (!(await isTrue())) {
    if (performance.now() >= end) return false;
    await sleep(100);
  }
  return true;
}
