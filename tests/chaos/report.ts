import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import type { Fault } from "./faults/kind.js";
import type { Options } from "./options.js";
import type { Result } from "./run.js";

const MOST_FINDINGS = 40;
const HEAD = ["seed", "bus", "minutes", "faults", "sends", "receipts", "shown", "reconnects", "result"];

/** The lines of the histories that the table has the number of. */
const COUNTED = ["send", "accepted", "message", "closed"];

/** The faults of a plan, one a line. */
export function planText(faults: readonly Fault[]): string {
  const seconds = (ms: number): string => (ms / 1_000).toFixed(1);
  const rows = faults.map(({ kind, at, ms, target, amount }) => [
    seconds(at),
    kind,
    target,
    seconds(ms),
    String(amount || ""),
  ]);
  return columns([["at s", "fault", "of", "for s", "amount"], ...rows]);
}

function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
  return rows.map((row) => `  ${line(row).trimEnd()}`).join("\n");
}

/** Counts, what was left out, and findings. */
export function resultText({ struck, counts, findings }: Result): string {
  const numbers = (record: Readonly<Record<string, number>>): string =>
    Object.entries(record)
      .map(([name, count]) => `${name} ${count}`)
      .join(", ");
  return [
    `faults: ${numbers(struck.counts) || "none"}`,
    ...struck.leftOut.map((text) => `left out: ${text}`),
    `counts: ${numbers(counts)}`,
    ...findings.slice(0, MOST_FINDINGS).map(({ rule, text }) => `found: ${rule}: ${text}`),
    ...(findings.length > MOST_FINDINGS ? [`found: ${findings.length - MOST_FINDINGS} more`] : []),
  ].join("\n");
}

/** How to have the same again. */
export function again(seed: number, { minutes, bus, only }: Options): string {
  const kinds = only.length > 0 ? ` --only "${only.join(",")}"` : "";
  return `npm run chaos -- --seed ${seed} --minutes ${minutes} --bus ${bus}${kinds}`;
}

/** True where the table has a line of this seed, bus and time. */
export function isInTable(file: string, seed: number, { bus, minutes }: Options): boolean {
  return existsSync(file) && readFileSync(file, "utf8").includes(`\n| ${seed} | ${bus} | ${minutes} |`);
}

/** Adds a line, below the head of a new table. */
export function addToTable(file: string, seed: number, options: Options, result: Result): void {
  if (!existsSync(file)) writeFileSync(file, `${row(HEAD)}${row(HEAD.map(() => "---"))}`);
  const { counts, struck, findings } = result;
  const faults = Object.entries(struck.counts).map(([kind, count]) => `${kind} ${count}`);
  const cells = [seed, options.bus, options.minutes, faults.join(", ")];
  const counted = COUNTED.map((name) => counts[name] ?? "");
  const outcome = findings.length === 0 ? "ok" : `FAILED (${findings.length})`;
  appendFileSync(file, row([...cells, ...counted, outcome].map(String)));
}

const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |\n`;
