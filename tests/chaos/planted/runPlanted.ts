import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StackApp } from "../../../local/stackServers.js";
import { STEADY } from "../clients/acts.js";
import { type Result, run } from "../run.js";
import type { BusName } from "../stack/names.js";
import { compiledOf, compilePlanted, patchOf } from "./compile.js";
import { copyProduct } from "./product.js";
import { SHOWS } from "./scenarios.js";
import { PLANTED, type Planted, type Scenario } from "./table.js";

/** Short where something may never come: a fault may be what keeps it away. */
const PLANTED_MS = { patienceMs: 45_000, settleMs: 20_000 };
/** A sound product comes to rest, however busy its machine is. */
const CONTROL_MS = { patienceMs: 180_000, settleMs: 120_000 };
const MOST_TEXTS = 3;

export interface PlantedOptions {
  /** The planted faults that are run. */
  readonly names: readonly string[];
  readonly seed: number;
  readonly bus: BusName;
  /** Keeps the folder of data, logs and histories. */
  readonly keep: boolean;
  readonly signal: AbortSignal;
}

interface Trial {
  readonly name: string;
  readonly scenario: Scenario;
  readonly app?: StackApp;
  readonly limits: typeof PLANTED_MS;
}

/**
 * Runs a copy of the product with each of these faults in it, and the product itself in each of their
 * scenarios. True where the checker finds every fault by the rule of the table, and nothing in the product.
 */
export async function runPlanted(options: PlantedOptions): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), "nonstop-planted-"));
  try {
    const compiled = join(folder, "compiled");
    mkdirSync(compiled);
    await compilePlanted(compiled, options.names);
    return await runAll(folder, compiled, options);
  } finally {
    if (options.keep) console.log(`data, logs and histories: ${folder}`);
    else rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function runAll(folder: string, compiled: string, options: PlantedOptions): Promise<boolean> {
  const planted = PLANTED.filter(({ name }) => options.names.includes(name));
  let failed = 0;
  for (const scenario of new Set(planted.map((one) => one.scenario)))
    if (!(await isSound(folder, scenario, options))) failed += 1;
  for (const one of planted) if (!(await isFound(folder, compiled, one, options))) failed += 1;
  console.log(`planted: ${failed === 0 ? "ok" : `FAILED (${failed})`}`);
  return failed === 0;
}

/** The control: the product as it is. */
async function isSound(folder: string, scenario: Scenario, options: PlantedOptions): Promise<boolean> {
  const name = `control-${scenario.replaceAll(" ", "-")}`;
  const { findings } = await runTrial(folder, { name, scenario, limits: CONTROL_MS }, options);
  console.log(`control, ${scenario}: ${findings.length === 0 ? "nothing found" : "FOUND"}`);
  for (const { rule, text } of findings.slice(0, 10)) console.log(`  found: ${rule}: ${text}`);
  return findings.length === 0;
}

async function isFound(
  folder: string,
  compiled: string,
  { name, rule, scenario }: Planted,
  options: PlantedOptions,
): Promise<boolean> {
  const { file } = patchOf(name);
  const app = copyProduct(join(folder, `${name}-app`), file, compiledOf(compiled, file, name));
  const { findings } = await runTrial(folder, { name, scenario, app, limits: PLANTED_MS }, options);
  if (!options.keep) rmSync(app.folder, { recursive: true, force: true });
  console.log(verdict(name, rule, findings));
  return findings.some((finding) => finding.rule === rule);
}

/** The line of one planted fault, and what was found where it was not found by its rule. */
export function verdict(name: string, rule: string, findings: Result["findings"]): string {
  const counts = new Map<string, number>();
  for (const finding of findings) counts.set(finding.rule, (counts.get(finding.rule) ?? 0) + 1);
  const count = counts.get(rule);
  counts.delete(rule);
  const others = [...counts].map(([other, times]) => `${other} ${times}`).join(", ") || "none";
  if (count !== undefined) return `planted ${name}: found by ${rule} ${count} (others: ${others})`;
  const texts = findings.slice(0, MOST_TEXTS).map((finding) => `\n  found: ${finding.rule}: ${finding.text}`);
  return `planted ${name}: NOT FOUND by ${rule} (others: ${others})${texts.join("")}`;
}

/** Never throws but for the signal: a run that comes to no end has that as its finding. */
async function runTrial(
  folder: string,
  { name, scenario, app, limits }: Trial,
  { seed, bus, keep, signal }: PlantedOptions,
): Promise<Pick<Result, "findings">> {
  const own = join(folder, name);
  mkdirSync(own);
  const { seconds, faults } = SHOWS[scenario];
  const of = { seed, minutes: seconds / 60, bus, faults, folder: own, signal, rates: STEADY, ...limits };
  const calm = scenario === "calm";
  const say = (line: string): void => {
    if (keep) console.log(`  ${name}: ${line}`);
  };
  const result = await run({ ...of, calm, say, ...(app && { app }) }).catch((error: Error) => {
    signal.throwIfAborted();
    return { findings: [{ rule: "the run ends", text: error.stack ?? error.message }] };
  });
  if (!keep) rmSync(own, { recursive: true, force: true, maxRetries: 5 });
  return result;
}
