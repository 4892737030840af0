import { createHash } from "node:crypto";
import { median } from "./target.js";

/** What this machine does in a fixed piece of work, before anything is measured on it. */
export interface Machine {
  /** The median time of a piece, in milliseconds. */
  readonly pieceMs: number;
  /** The time that one piece of ten takes at least, divided by the median: 1 on a machine that nobody else uses. */
  readonly spread: number;
  /** What that means for the figures. Nothing where the machine is quick and quiet. */
  readonly warning?: string;
}

const PIECES = 200;
/** What a piece takes on the quiet two-core machine of the figures in README.md. */
const USUAL_MS = 1.55;
const SLOW = 1.6;
const NOISY = 1.5;

/** Half a second of the kind of work that the servers do: texts, objects and hashes. */
export function measureMachine(): Machine {
  for (let warm = 0; warm < 50; warm += 1) piece();
  const times = Array.from({ length: PIECES }, () => {
    const start = performance.now();
    piece();
    return performance.now() - start;
  });
  const pieceMs = median(times);
  const slowTenth = times.sort((a, b) => a - b)[Math.floor(PIECES * 0.9)] as number;
  const [slow, spread] = [pieceMs / USUAL_MS, slowTenth / pieceMs];
  const warning = warningOf(slow, spread);
  return { pieceMs, spread, ...(warning !== undefined && { warning }) };
}

function warningOf(slow: number, spread: number): string | undefined {
  if (slow > SLOW)
    return `this machine takes ${slow.toFixed(1)} times as long as the usual one: compare ratios only, or wait until it is quiet`;
  if (spread > NOISY)
    return `others use this machine: a tenth of equal pieces of work takes ${spread.toFixed(1)} times as long as the others`;
  return undefined;
}

/** A fixed piece of work. */
export function piece(): number {
  let sum = 0;
  for (let index = 0; index < 600; index += 1) {
    const text = JSON.stringify({ roomId: index, content: "x".repeat(80), at: [index, index + 1] });
    sum += (JSON.parse(text) as { roomId: number }).roomId;
    sum += createHash("sha256").update(text).digest()[0] as number;
  }
  return sum;
}
