/** A storage of texts. Its functions never throw. */
interface Kept {
  readonly get: (key: string) => string | undefined;
  readonly set: (key: string, value: string) => void;
  readonly remove: (key: string) => void;
}

/**
 * A browser that is set to keep nothing throws at each access, and a full storage at each `set`. The page
 * then keeps the texts itself, as long as it is open.
 */
function keptIn(storage: () => Storage): Kept {
  const meanwhile = new Map<string, string>();
  const attempt = <T>(action: (storage: Storage) => T): T | undefined => {
    try {
      return action(storage());
    } catch {
      // Only the storage itself throws here.
      return undefined;
    }
  };
  return {
    get: (key) => meanwhile.get(key) ?? attempt((one) => one.getItem(key)) ?? undefined,
    set: (key, value) => {
      meanwhile.set(key, value);
      attempt((one) => one.setItem(key, value));
    },
    remove: (key) => {
      meanwhile.delete(key);
      attempt((one) => one.removeItem(key));
    },
  };
}

/** Kept until the tab is closed. Each tab has its own, so two tabs can be two users. */
export const keptByTab: Kept = keptIn(() => sessionStorage);
/** Kept for all tabs of this browser, and for the next visit. */
export const keptByBrowser: Kept = keptIn(() => localStorage);
