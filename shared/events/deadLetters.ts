import { z } from "zod";
import { MESSAGES_DEAD_LETTER_HUB, MESSAGES_HUB } from "./messages.js";
import { parseEvent } from "./parseEvent.js";
import { READS_DEAD_LETTER_HUB, READS_HUB } from "./reads.js";

/** The dead-letter hub of each hub. Each has one partition, so its letters stand in one order. */
export const DEAD_LETTER_HUBS: Readonly<Record<string, string>> = {
  [MESSAGES_HUB]: MESSAGES_DEAD_LETTER_HUB,
  [READS_HUB]: READS_DEAD_LETTER_HUB,
};

/** The property, or header, that marks the replay of a dead letter, and names it: `HUB/PARTITION/NUMBER`. */
export const REPLAY_OF = "chat-replay-of";

const Count = z.int().nonnegative();

/**
 * An event that no retry can help, as a dead-letter hub holds it: its content, its place, and the error. A
 * letter whose content is too large for one event stands in several, each with a part of the content.
 */
const DeadLetter = z.object({
  v: z.literal(1),
  key: z.string(),
  hub: z.string(),
  partitionId: z.string(),
  sequenceNumber: Count,
  error: z.object({ code: z.string(), message: z.string() }),
  /** The original bytes: as text where they are UTF-8, or else in base64. */
  body: z.string().optional(),
  bodyBase64: z.base64().optional(),
  /** Which part of the original bytes this is, from 1 on. Without it the letter has all of them. */
  part: z.object({ number: z.int().positive(), of: z.int().min(2) }).optional(),
  /** The letter, `HUB/PARTITION/NUMBER`, whose replay came back as this one. */
  replayOf: z.string().optional(),
  /** Older versions cut content that was too large. The rest is not in the letter. */
  truncated: z.literal(true).optional(),
});
export type DeadLetter = Readonly<z.infer<typeof DeadLetter>>;

/**
 * What a person did with letters. It stands behind them in their own hub, by their sequence numbers, so it
 * lasts as long as they do, and goes with them when the hub is made anew.
 */
const LetterNote = z.object({
  v: z.literal(1),
  note: z.enum(["replayed", "dropped"]),
  letters: z.array(Count).min(1),
});
export type LetterNote = Readonly<z.infer<typeof LetterNote>>;

const Entry = z.union([LetterNote, DeadLetter]);

/** Reads an event of a dead-letter hub. Throws `INVALID_MESSAGE`, which says what is wrong. */
export const parseDeadLetter = (body: Uint8Array): DeadLetter | LetterNote => parseEvent(Entry, body);
