import { keptByTab } from "./kept.js";

const KEY = "nonstop-device";
let mine: Promise<string> | undefined;

/**
 * The `deviceId` of this tab: each tab is a device, and after a reload its new session replaces the old one.
 * A duplicated tab begins with a copy of the storage. It finds the id in use, and takes another one.
 */
export function deviceId(): Promise<string> {
  // A second search would find the page's own id in use.
  mine ??= take();
  return mine;
}

async function take(): Promise<string> {
  const known = keptByTab.get(KEY);
  if (known && (await hold(known))) return known;
  // `crypto.randomUUID` is there in a secure context only.
  const fresh = [...crypto.getRandomValues(new Uint32Array(4))].join("-");
  keptByTab.set(KEY, fresh);
  await hold(fresh);
  return fresh;
}

/** Takes the id for this tab, as long as the page lives. False when another tab has it. */
function hold(id: string): Promise<boolean> {
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    const held = navigator.locks.request(`${KEY} ${id}`, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock ? new Promise<void>(() => {}) : undefined;
    });
    // A browser that is set to keep nothing may refuse locks too (`SecurityError`).
    held.catch(() => resolve(true));
  });
}
