import { keptByTab } from "./kept.js";

const KEY = "nonstop-device";
let mine: Promise<string> | undefined;

/**
 * A tab is a device: after a reload its new session takes the place of the old one. A duplicated tab begins with a copy of the
 * storage; it finds the name in use, and takes another one.
 */
export function deviceId(): Promise<string> {
  // Asked again, the page would find its own name in use.
  mine ??= take();
  return mine;
}

async function take(): Promise<string> {
  const known = keptByTab.get(KEY);
  if (known && (await hold(known))) return known;
  // Not a UUID: those are for secure pages only.
  const fresh = [...crypto.getRandomValues(new Uint32Array(4))].join("-");
  keptByTab.set(KEY, fresh);
  await hold(fresh);
  return fresh;
}

/** Whether no other tab holds it; ours does from then on, as long as the page lives. */
function hold(name: string): Promise<boolean> {
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    const held = navigator.locks.request(`${KEY} ${name}`, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock ? new Promise<void>(() => {}) : undefined;
    });
    // A browser that keeps nothing may refuse locks too.
    held.catch(() => resolve(true));
  });
}
