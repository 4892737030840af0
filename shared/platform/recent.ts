/** What was used lately, by a text. */
export interface Recent<Value> {
  get(key: string): Value | undefined;
  set(key: string, value: Value): void;
}

/**
 * Keeps the values that were used last: at least `count` of them where so many keys are in use, and never more than
 * twice as many. Neither reading nor writing depends on how many there are.
 */
export function recent<Value>(count: number): Recent<Value> {
  let young = new Map<string, Value>();
  let old = new Map<string, Value>();
  const set = (key: string, value: Value): void => {
    young.set(key, value);
    if (young.size < count) return;
    old = young;
    young = new Map();
  };
  return {
    get(key) {
      const known = young.get(key);
      if (known !== undefined) return known;
      const older = old.get(key);
      if (older !== undefined) set(key, older);
      return older;
    },
    set,
  };
}
