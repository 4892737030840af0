import { MESSAGES_HUB } from "../events/messages.js";
import type { Letter } from "./letters.js";

/** Which letters are meant. What is not said holds for all. */
export interface Filter {
  readonly numbers?: ReadonlySet<number>;
  readonly roomId?: number;
  readonly since?: Date;
  /** Whether letters count that a person has dropped. */
  readonly withDropped: boolean;
}

/** Whether a letter is meant. One whose time the bus does not tell counts as new. */
export function isMeant(letter: Letter, { numbers, roomId, since, withDropped }: Filter): boolean {
  if (letter.note === "dropped" && !withDropped) return false;
  if (numbers && !numbers.has(letter.number)) return false;
  if (roomId !== undefined && roomOf(letter) !== roomId) return false;
  return !since || !letter.when || letter.when >= since;
}

/** The room that the content names. Messages that can't be read are known by their key, which is the room. */
export function roomOf({ roomId, from, key }: Letter): number | undefined {
  if (roomId !== undefined || from.hub !== MESSAGES_HUB) return roomId;
  return /^[1-9]\d*$/.test(key) ? Number(key) : undefined;
}
