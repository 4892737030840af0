/**
 * The fewest of `all` for which `fails` still holds, as far as `mostTries` show: the others are taken away half by
 * half, then in ever smaller pieces (Zeller's delta debugging). `fails` holds for `all`.
 */
export async function fewest<T>(
  all: readonly T[],
  fails: (some: readonly T[]) => Promise<boolean>,
  mostTries: number,
): Promise<readonly T[]> {
  let tries = 0;
  const stillFails = async (some: readonly T[]): Promise<boolean> => {
    tries += 1;
    return tries <= mostTries && (await fails(some));
  };
  // First of all: it may fail without any.
  if (all.length === 0 || (await stillFails([]))) return [];
  let [kept, size] = [all, Math.ceil(all.length / 2)];
  while (kept.length > 1 && tries < mostTries) {
    const smaller = await firstThatFails(withoutEach(kept, size), stillFails);
    if (!smaller && size === 1) break;
    kept = smaller ?? kept;
    size = Math.max(1, Math.ceil((smaller ? Math.min(size, kept.length) : size) / 2));
  }
  return kept;
}

/** The things without the first so many, without the next so many, and so on. */
function withoutEach<T>(things: readonly T[], size: number): (readonly T[])[] {
  const pieces = Math.ceil(things.length / size);
  return Array.from({ length: pieces }, (_, piece) => [
    ...things.slice(0, piece * size),
    ...things.slice((piece + 1) * size),
  ]);
}

async function firstThatFails<T>(
  choices: readonly (readonly T[])[],
  fails: (some: readonly T[]) => Promise<boolean>,
): Promise<readonly T[] | undefined> {
  for (const choice of choices) if (await fails(choice)) return choice;
  return undefined;
}
