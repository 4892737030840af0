/** What programs for people share: their arguments, tables, and what they say when they fail. */

/** Reads arguments by `read`. Its errors get the usage behind them. */
export function withUsage<T>(usage: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new Error(`${(cause as Error).message}\n${usage}`, { cause });
  }
}

/** A whole number, 0 or more. Throws where the text is none. */
export function whole(name: string, text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number))
    throw new Error(`${name} must be a whole number, not ${text}.`);
  return number;
}

/** Rows as lines, each column as wide as its widest cell. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    rows.reduce((most, row) => Math.max(most, (row[column] ?? "").length), 0),
  );
  const lineOf = (row: readonly string[]): string =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
  return rows.map((row) => lineOf(row).trimEnd()).join("\n");
}

/** Without characters that could move the cursor, colour the terminal or break a line. */
export const visible = (text: string): string => text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "\u00b7");

/**
 * Runs a program to its end, and sets the exit code: what `main` resolves with, or `failed` where it throws.
 * Then the error's message goes to stderr, with those of its causes.
 */
export function runProgram(main: (args: readonly string[]) => Promise<number>, failed: number): void {
  main(process.argv.slice(2)).then(
    (code) => {
      process.exitCode = code;
    },
    (error: unknown) => {
      console.error([...new Set(whyOf(error))].join("\n  "));
      process.exitCode = failed;
    },
  );
}

/** What went wrong, and why, as far as the errors below it say. */
function whyOf(error: unknown, depth = 0): readonly string[] {
  if (!(error instanceof Error) || depth > 3) return [];
  const causes = error instanceof AggregateError ? [error.cause, error.errors[0]] : [error.cause];
  return [error.message, ...causes.flatMap((cause) => whyOf(cause, depth + 1))].filter((text) => text !== "");
}
