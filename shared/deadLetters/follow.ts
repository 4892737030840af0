import { setTimeout as pause } from "node:timers/promises";
import type { EventBus } from "../bus/eventBus.js";
import { type Letter, markOf, readLetters } from "./letters.js";
import type { Sent } from "./replay.js";

/** What became of an event that was published again. */
export type Fate =
  | { readonly became: "stored"; readonly as: string }
  | { readonly became: "cameBack"; readonly as: number; readonly code: string; readonly message: string }
  | { readonly became: "waits" };

/** Which of these events the database has, and as what. */
export type FindStored = (sent: readonly Sent[]) => Promise<ReadonlyMap<Letter, string>>;

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Looks, for at most `waitMs`, what becomes of events of one hub's letters: the database has what was stored,
 * and what failed again comes as a new letter, behind `from`, that names the old one.
 */
export async function follow(
  bus: EventBus,
  hub: string,
  sent: readonly Sent[],
  { from, waitMs, findStored }: { from: number; waitMs: number; findStored: FindStored },
): Promise<ReadonlyMap<Letter, Fate>> {
  const due = performance.now() + waitMs;
  const fates = new Map<Letter, Fate>(sent.map(({ letter }) => [letter, { became: "waits" }]));
  for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(wait * 2, LONGEST_PAUSE_MS)) {
    const isOpen = ({ letter }: Sent): boolean => fates.get(letter)?.became === "waits";
    const back = new Map((await readLetters(bus, hub, from)).letters.map((one) => [one.replayOf, one]));
    for (const { letter } of sent.filter(isOpen)) {
      const again = back.get(markOf(letter));
      if (again) fates.set(letter, { became: "cameBack", as: again.number, ...again.error });
    }
    for (const [letter, as] of await findStored(sent.filter(isOpen)))
      fates.set(letter, { became: "stored", as });
    if (!sent.some(isOpen) || performance.now() + wait > due) return fates;
    await pause(wait);
  }
}
