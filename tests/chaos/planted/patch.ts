/** A patch of one file in one place, as these are. */
export interface Patch {
  /** From the project's folder. */
  readonly file: string;
  readonly before: string;
  readonly after: string;
}

/** Reads a unified diff of one file with one hunk. Throws for any other. */
export function parsePatch(text: string): Patch {
  const file = /^\+\+\+ b\/(.+)$/m.exec(text)?.[1];
  const hunks = text.split(/^@@ .*$/m);
  const [, hunk] = hunks;
  if (file === undefined || hunk === undefined || hunks.length !== 2)
    throw new Error("a patch of one file with one hunk is meant");
  const lines = hunk.split("\n").filter((line) => line !== "");
  const those = (kinds: string): string =>
    lines.flatMap((line) => (kinds.includes(line.slice(0, 1)) ? [`${line.slice(1)}\n`] : [])).join("");
  return { file, before: those(" -"), after: those(" +") };
}

/** The source with the patch in it. Throws where the patch does not fit, in one place exactly. */
export function applyPatch({ file, before, after }: Patch, source: string): string {
  const places = source.split(before).length - 1;
  if (places !== 1) throw new Error(`the patch of ${file} fits in ${places} places: make it anew`);
  return source.replace(before, () => after);
}
