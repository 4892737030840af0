/**
 * The fewest of `all` for which `fails` still holds, as far as `mostTries` show: the others are taken away half by
 * half, then in ever smaller pieces (Zeller's delta debugging). `fails` holds for `all`.
 */
export async function fewest<T>(
  all: readonly T[],
  fails: (some: readonly T[]) => Promise<boolean>,
  mostTries: number,
): Promise<readonly T[]> {
  let [kept, pieces, tries] = [all, 2, 0];
  while (kept.length > 1 && pieces <= kept.length) {
    const size = Math.ceil(kept.length / pieces);
    let smaller: readonly T[] | undefined;
    for (let from = 0; from < kept.length && !smaller; from += size) {
      if (tries === mostTries) return kept;
      tries += 1;
      const without = [...kept.slice(0, from), ...kept.slice(from + size)];
      if (await fails(without)) smaller = without;
    }
    if (!smaller && size === 1) return kept;
    pieces = smaller ? Math.max(2, pieces - 1) : pieces * 2;
    kept = smaller ?? kept;
    pieces = Math.min(pieces, Math.max(2, kept.length));
  }
  return kept;
}
