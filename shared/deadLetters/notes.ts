import type { EventBus } from "../bus/eventBus.js";
import type { LetterNote } from "../events/deadLetters.js";
import type { Letter } from "./letters.js";

/** More than anybody replays at once, far less than an event holds. */
const NOTED_TOGETHER = 10_000;

/**
 * Writes behind letters of one hub what was done with them. An event can't be taken out of a log, so a note is
 * all that dropping is.
 */
export async function note(
  bus: EventBus,
  hub: string,
  what: LetterNote["note"],
  letters: readonly Letter[],
): Promise<void> {
  for (let from = 0; from < letters.length; from += NOTED_TOGETHER) {
    const numbers = letters.slice(from, from + NOTED_TOGETHER).map(({ number }) => number);
    await bus.publish(hub, "notes", { v: 1, note: what, letters: numbers } satisfies LetterNote);
  }
}
