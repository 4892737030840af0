import type { EventBus } from "../bus/eventBus.js";
import type { Arguments } from "./arguments.js";
import { isMeant } from "./choose.js";
import { type Letter, type OnProgress, readLetters } from "./letters.js";

const TOLD_MS = 2_000;

/** Tells now and then how far a hub has been read, which takes its time where there is much. */
function telling(hub: string): OnProgress {
  let told = performance.now();
  return (read, of) => {
    if (performance.now() - told < TOLD_MS) return;
    told = performance.now();
    console.error(`${hub}: ${read} of ${of} events read.`);
  };
}

/** The letters of a hub that are meant, and the number behind the last event there. */
export interface Chosen {
  readonly hub: string;
  readonly letters: readonly Letter[];
  readonly end: number;
}

/** The letters that are meant, by hub, in the order in which they were written. */
export async function readChosen(bus: EventBus, { hubs, filter }: Arguments): Promise<readonly Chosen[]> {
  const all: Chosen[] = [];
  for (const hub of hubs) {
    const { letters, unreadable, end } = await readLetters(bus, hub, 0, telling(hub));
    all.push({ hub, letters: letters.filter((letter) => isMeant(letter, filter)), end });
    if (unreadable.length > 0)
      console.error(
        `${hub}: ${unreadable.length} events are no whole dead letters: ${unreadable.slice(0, 20)}.`,
      );
  }
  return all;
}

/** The letters of all hubs, oldest first. */
export const together = (chosen: readonly Chosen[]): readonly Letter[] =>
  chosen
    .flatMap(({ letters }) => letters)
    .sort((one, other) => (one.when?.getTime() ?? 0) - (other.when?.getTime() ?? 0));
