/**
 * How many members have not read up to a `seq`, from the number of members at each read position (ascending).
 * One pass builds it, a binary search answers.
 */
export function unreadCounter(
  positions: readonly (readonly [lastReadSeq: number, members: number])[],
): (seq: number) => number {
  let sum = 0;
  const below = positions.map(([, members]) => {
    sum += members;
    return sum;
  });
  return (seq) => {
    let low = 0;
    let high = positions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (positions[middle]![0] < seq) low = middle + 1;
      else high = middle;
    }
    return below[low - 1] ?? 0;
  };
}

/**
 * The `seq` of the oldest and of the newest of these messages. They may come in any order, and there is at
 * least one.
 */
export function spanOf(
  messages: readonly { readonly seq: number }[],
): readonly [oldest: number, newest: number] {
  let [oldest, newest] = [Number.MAX_SAFE_INTEGER, 0];
  for (const { seq } of messages) {
    oldest = Math.min(oldest, seq);
    newest = Math.max(newest, seq);
  }
  return [oldest, newest];
}
