import { createInterface } from "node:readline/promises";

/** Whether a person can be asked. */
export const isTerminal = (): boolean => process.stdin.isTTY === true;

/** Asks on the terminal. Anything but `y` or `yes` is no. */
export async function isAgreed(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}
