/** Sends that take longer than this hold up no other: what has come meanwhile goes, too. */
const PATIENCE_MS = 50;
/** Half of what the smallest tier of Event Hubs takes as one batch. */
const TOGETHER_BYTES = 128 * 1024;
const TOGETHER_COUNT = 100;

interface Waiting<Item> {
  readonly item: Item;
  resolve(): void;
  reject(error: unknown): void;
}

/** What goes to one place in order. */
interface Line<Item> {
  waiting: Waiting<Item>[];
  bytes: number;
  underWay: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Sends an item to a place. Resolves, or rejects, with the send that it was part of. A place that has nothing under
 * way gets an item at once, and alone. What comes while a send is under way waits for its end and goes together, in
 * the order of the calls: up to 100 items or 128 KiB, or after 50 ms. So a place that gets many at once costs a few
 * large sends in place of many small ones, and one that gets few waits for nothing.
 */
export function together<Item>(
  sendAll: (place: string, items: readonly Item[]) => Promise<unknown>,
): (place: string, item: Item, bytes: number) => Promise<void> {
  const lines = new Map<string, Line<Item>>();

  const flush = (place: string, line: Line<Item>): void => {
    clearTimeout(line.timer);
    const group = line.waiting;
    [line.waiting, line.bytes, line.timer] = [[], 0, undefined];
    if (group.length === 0) return;
    line.underWay += 1;
    const end = (settle: (one: Waiting<Item>) => void): void => {
      line.underWay -= 1;
      for (const one of group) settle(one);
      if (line.underWay > 0) return;
      if (line.waiting.length > 0) flush(place, line);
      else lines.delete(place);
    };
    const items = group.map(({ item }) => item);
    sendAll(place, items).then(
      () => end((one) => one.resolve()),
      (error: unknown) => end((one) => one.reject(error)),
    );
  };

  return (place, item, bytes) => {
    const line = lines.get(place) ?? { waiting: [], bytes: 0, underWay: 0, timer: undefined };
    lines.set(place, line);
    if (line.bytes + bytes > TOGETHER_BYTES) flush(place, line);
    return new Promise((resolve, reject) => {
      line.waiting.push({ item, resolve, reject });
      line.bytes += bytes;
      if (line.underWay === 0 || line.waiting.length >= TOGETHER_COUNT) flush(place, line);
      else line.timer ??= setTimeout(() => flush(place, line), PATIENCE_MS);
    });
  };
}
