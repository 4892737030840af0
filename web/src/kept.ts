interface Kept {
  readonly get: (key: string) => string | undefined;
  readonly set: (key: string, value: string) => void;
  readonly remove: (key: string) => void;
}

/** A browser that is set to keep nothing throws at each access: then all is known for as long as the page is open. */
function keptIn(storage: () => Storage): Kept {
  const meanwhile = new Map<string, string>();
  const attempt = <T>(action: (storage: Storage) => T): T | undefined => {
    try {
      return action(storage());
    } catch {
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

/** Until the tab is closed: two tabs can be two users. */
export const keptByTab: Kept = keptIn(() => sessionStorage);
/** Of all tabs, and of the next visit. */
export const keptByBrowser: Kept = keptIn(() => localStorage);
