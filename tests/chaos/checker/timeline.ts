/** The highest of the values that were there by a time. */
export class Timeline {
  readonly #times: number[] = [];
  readonly #highest: number[] = [];

  constructor(points: readonly { readonly at: number; readonly value: number }[]) {
    let highest = 0;
    for (const { at, value } of points
      .filter((one) => Number.isFinite(one.at))
      .sort((one, other) => one.at - other.at)) {
      highest = Math.max(highest, value);
      this.#times.push(at);
      this.#highest.push(highest);
    }
  }

  /** The highest at this time or before; 0 where there was none. */
  by(time: number): number {
    return this.#highest[upTo(this.#times, time) - 1] ?? 0;
  }
}

/** How many of these ascending numbers are not above `limit`. */
export function upTo(ascending: readonly number[], limit: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] ?? 0) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
