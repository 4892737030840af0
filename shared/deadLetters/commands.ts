import type { EventBus } from "../bus/eventBus.js";
import type { Arguments } from "./arguments.js";
import { isAgreed, isTerminal } from "./ask.js";
import { type Fate, type FindStored, follow } from "./follow.js";
import { contentOf, type Letter } from "./letters.js";
import { note } from "./notes.js";
import { type Chosen, together } from "./read.js";
import { replayLetters, type Unsent } from "./replay.js";
import { bodyOf, factsOf, pageOf, tableOf } from "./table.js";

/** Each command prints what it has found or done, and gives the exit code. */
export function list(chosen: readonly Chosen[], { json }: Arguments): number {
  const letters = together(chosen);
  if (json) for (const letter of letters) console.log(JSON.stringify(factsOf(letter)));
  else console.log(letters.length === 0 ? "There are no dead letters." : tableOf(letters));
  return 0;
}

export async function show(
  bus: EventBus,
  chosen: readonly Chosen[],
  { json, hubs }: Arguments,
): Promise<number> {
  const [letter] = together(chosen);
  if (!letter) throw new Error(`${hubs} has no letter of this number, or not any more: see list --all.`);
  const content = await contentOf(bus, letter);
  console.log(json ? JSON.stringify({ ...factsOf(letter), ...bodyOf(content) }) : pageOf(letter, content));
  return 0;
}

/** Asks a person. Without a terminal nobody is asked. */
export async function drop(bus: EventBus, chosen: readonly Chosen[], asked: Arguments): Promise<number> {
  requireNumbers(chosen, asked);
  const letters = together(chosen);
  if (letters.length === 0) return said("There is nothing to drop.", 0);
  console.error(`${tableOf(letters)}\n\n${plural(letters)} will no more be listed or replayed.`);
  if (!asked.yes) {
    if (!isTerminal()) throw new Error("Nothing was dropped: without a terminal --yes is needed.");
    if (!(await isAgreed("Drop?"))) return said("Nothing was dropped.", 1);
  }
  for (const { hub, letters } of chosen) if (letters.length > 0) await note(bus, hub, "dropped", letters);
  return said(`Dropped: ${plural(letters)}. list --all shows them until their retention ends.`, 0);
}

/** Publishes events again and looks what becomes of them. Asks only at a terminal. */
export async function replay(
  bus: EventBus,
  chosen: readonly Chosen[],
  asked: Arguments,
  findStored: FindStored,
): Promise<number> {
  requireNumbers(chosen, asked);
  const isDue = ({ note }: Letter): boolean => asked.again || note !== "replayed";
  const due = chosen.map((one) => ({ ...one, letters: one.letters.filter(isDue) }));
  const letters = together(due);
  const before = together(chosen).length - letters.length;
  if (before > 0) console.error(`Replayed before, and left alone without --again: ${before}.`);
  if (letters.length === 0) return said("There is nothing to replay.", 0);
  const order = "They come at the end of their room's order, behind what was sent since.";
  console.error(`${tableOf(letters)}\n\n${plural(letters)} will be published again. ${order}`);
  if (isTerminal() && !asked.yes && !(await isAgreed("Replay?"))) return said("Nothing was replayed.", 1);
  let stored = 0;
  for (const one of due) stored += await replayHub(bus, one, asked, findStored);
  return said(`${stored} of ${letters.length} stored.`, stored === letters.length ? 0 : 1);
}

/** How many of the hub's letters are stored now. */
async function replayHub(
  bus: EventBus,
  { hub, letters, end }: Chosen,
  { json, waitMs }: Arguments,
  findStored: FindStored,
): Promise<number> {
  if (letters.length === 0) return 0;
  const { sent, unsent } = await replayLetters(bus, hub, letters);
  for (const one of unsent) tell(one.letter, { became: "notSent", reason: one.reason }, json);
  const fates = await follow(bus, hub, sent, { from: end, waitMs, findStored });
  for (const [letter, fate] of fates) tell(letter, fate, json);
  return [...fates.values()].filter(({ became }) => became === "stored").length;
}

type Outcome = Fate | ({ readonly became: "notSent" } & Pick<Unsent, "reason">);

function tell({ hub, number }: Letter, outcome: Outcome, json: boolean): void {
  console.log(json ? JSON.stringify({ hub, number, ...outcome }) : `${hub} ${number}: ${sentence(outcome)}`);
}

function sentence(outcome: Outcome): string {
  if (outcome.became === "stored") return `stored (${outcome.as})`;
  if (outcome.became === "notSent") return `not published: ${outcome.reason}`;
  if (outcome.became === "waits") return "published, neither stored nor back as a letter yet";
  return `came back as letter ${outcome.as}: ${outcome.code}, ${outcome.message}`;
}

/** Throws where a number was asked for that is no letter, or a dropped one. */
function requireNumbers(chosen: readonly Chosen[], { filter: { numbers }, hubs }: Arguments): void {
  const found = new Set(together(chosen).map(({ number }) => number));
  const missing = [...(numbers ?? [])].filter((number) => !found.has(number));
  if (missing.length > 0) throw new Error(`${hubs} has no letter ${missing.join(", ")}: see list --all.`);
}

const plural = ({ length }: readonly Letter[]): string =>
  length === 1 ? "1 dead letter" : `${length} dead letters`;

function said(text: string, code: number): number {
  console.error(text);
  return code;
}
