import { setTimeout as sleep } from "node:timers/promises";

/** Waits until `isTrue`, at most so long, and says whether it came true. */
export async function within(ms: number, isTrue: () => boolean | Promise<boolean>): Promise<boolean> {
  const end = performance.now() + ms;
  while (!(await isTrue())) {
    if (performance.now() >= end) return false;
    await sleep(100);
  }
  return true;
}
