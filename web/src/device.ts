const KEY = "nonstop-device";

/**
 * A tab is a device: after a reload its new session takes the place of the old one. A duplicated tab begins with a copy of the
 * storage; it finds the name in use, and takes another one.
 */
export async function deviceId(): Promise<string> {
  const known = sessionStorage.getItem(KEY);
  if (known && (await hold(known))) return known;
  const fresh = crypto.randomUUID();
  sessionStorage.setItem(KEY, fresh);
  await hold(fresh);
  return fresh;
}

/** Whether no other tab holds it; ours does from then on, as long as the page lives. */
function hold(name: string): Promise<boolean> {
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    void navigator.locks.request(`${KEY} ${name}`, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock ? new Promise<void>(() => {}) : undefined;
    });
  });
}
