import { createHash } from "node:crypto";
import type { EventBus, ReceivedEvent } from "../bus/eventBus.js";
import { type DeadLetter, type LetterNote, parseDeadLetter } from "../events/deadLetters.js";
import { ChatError } from "../platform/errors.js";

/** A dead letter without its content, which may be large. */
export interface Letter {
  /** The dead-letter hub, and the number of the letter's first event there. */
  readonly hub: string;
  readonly number: number;
  /** The numbers of all its events, in the order of the parts. */
  readonly parts: readonly number[];
  /** When the letter was written, where the bus tells. */
  readonly when: Date | undefined;
  readonly key: string;
  /** The place of the original event. */
  readonly from: { readonly hub: string; readonly partitionId: string; readonly sequenceNumber: number };
  readonly error: DeadLetter["error"];
  readonly replayOf: string | undefined;
  readonly bytes: number;
  readonly digest: string;
  /** The beginning of the content as text. */
  readonly text: string;
  /** The room that the content names, where it can be read. */
  readonly roomId: number | undefined;
  /** Whether an older version of the app cut the content. */
  readonly isCut: boolean;
  /** What a person did with the letter last. */
  readonly note: LetterNote["note"] | undefined;
}

/** All that a dead-letter hub holds, in its order. */
export interface Letters {
  readonly letters: readonly Letter[];
  /** Numbers of events that are no dead letters, and of letters that lack a part. */
  readonly unreadable: readonly number[];
  /** The number behind the last event that was read. */
  readonly end: number;
}

/** How far a hub has been read. */
export type OnProgress = (read: number, of: number) => void;

/** Dead-letter hubs have one partition. */
export const PARTITION = "0";

const TEXT_CHARACTERS = 200;
/** What one read may bring, as far as the size of the events before tells. */
const READ_BYTES = 16 * 1024 * 1024;
const MOST_EVENTS = 1_000;
const FEWEST_EVENTS = 16;

/** The mark of an event that is published again: the place of its letter. */
export const markOf = ({ hub, number }: Pick<Letter, "hub" | "number">): string =>
  `${hub}/${PARTITION}/${number}`;

/**
 * Reads a dead-letter hub from `from` on, or from its beginning, to the event that is its last one now. A
 * letter that a crash has repeated comes once. Throws `UNAVAILABLE` when the bus is away.
 */
export async function readLetters(
  bus: EventBus,
  hub: string,
  from = 0,
  onProgress: OnProgress = () => {},
): Promise<Letters> {
  const reader = new LetterReader(hub);
  const first = Math.max(from, await bus.firstSequenceNumber(hub, PARTITION));
  const last = (await bus.lastEnqueued(hub, PARTITION))?.sequenceNumber ?? -1;
  let [next, limit] = [first, FEWEST_EVENTS];
  while (next <= last) {
    const events = await bus.readRange(hub, PARTITION, next, last, limit);
    if (events.length === 0) break;
    for (const event of events) if (!event.absent) reader.add(event);
    next = events.at(-1)!.sequenceNumber + 1;
    onProgress(next - first, last - first + 1);
    limit = nextLimit(events);
  }
  return reader.end(Math.max(next, first));
}

function nextLimit(events: readonly ReceivedEvent[]): number {
  const bytes = events.reduce((sum, { body }) => sum + body.length, 0);
  const fitting = Math.floor(READ_BYTES / Math.max(1, bytes / events.length));
  return Math.min(MOST_EVENTS, Math.max(FEWEST_EVENTS, fitting));
}

/** The original bytes of a letter. Throws where retention has taken them since the hub was read. */
export async function contentOf(bus: EventBus, letter: Letter): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (const number of letter.parts) {
    const [event] = await bus.readRange(letter.hub, PARTITION, number, number, 1);
    const entry = event && parseDeadLetter(event.body);
    if (!entry || "note" in entry)
      throw new ChatError("INVALID_MESSAGE", `${letter.hub} has no letter ${letter.number} any more.`);
    parts.push(bytesOf(entry));
  }
  return Buffer.concat(parts);
}

const bytesOf = ({ body, bodyBase64 }: DeadLetter): Buffer =>
  body === undefined ? Buffer.from(bodyBase64 ?? "", "base64") : Buffer.from(body);

/** The parts of a letter that have come so far. */
interface Begun {
  readonly first: DeadLetter;
  readonly when: Date | undefined;
  readonly parts: number[];
  readonly contents: Buffer[];
}

/** Puts letters together from events, in their order. */
class LetterReader {
  readonly #hub: string;
  readonly #letters = new Map<number, Letter>();
  /** Letters by place and content, to know repeats. */
  readonly #known = new Set<string>();
  /** Letters that lack parts, by the place of their event. */
  readonly #begun = new Map<string, Begun>();
  readonly #unreadable: number[] = [];

  constructor(hub: string) {
    this.#hub = hub;
  }

  add({ sequenceNumber, body, enqueuedOn }: ReceivedEvent): void {
    let entry: DeadLetter | LetterNote;
    try {
      entry = parseDeadLetter(body);
    } catch {
      this.#unreadable.push(sequenceNumber);
      return;
    }
    if ("note" in entry) this.#note(entry);
    else if (!entry.part) this.#finish(beginning(entry, sequenceNumber, enqueuedOn));
    else this.#addPart(entry, entry.part, sequenceNumber, enqueuedOn);
  }

  end(end: number): Letters {
    const lacking = [...this.#begun.values()].flatMap(({ parts }) => parts);
    const unreadable = [...this.#unreadable, ...lacking].sort((one, other) => one - other);
    return { letters: [...this.#letters.values()], unreadable, end };
  }

  #note({ note, letters }: LetterNote): void {
    for (const number of letters) {
      const letter = this.#letters.get(number);
      if (letter) this.#letters.set(number, { ...letter, note });
    }
  }

  #addPart(letter: DeadLetter, part: { number: number; of: number }, number: number, when?: Date): void {
    const place = placeOf(letter);
    const begun = this.#begun.get(place);
    // Two writers of one letter write the same parts, so it does not matter whose part comes next.
    if (begun && part.number === begun.parts.length + 1) {
      begun.parts.push(number);
      begun.contents.push(bytesOf(letter));
      if (part.number < part.of) return;
      this.#begun.delete(place);
      this.#finish(begun);
    } else if (!begun && part.number === 1) this.#begun.set(place, beginning(letter, number, when));
  }

  #finish({ first, when, parts, contents }: Begun): void {
    const content = Buffer.concat(contents);
    const digest = createHash("sha256").update(content).digest("hex");
    const same = `${placeOf(first)} ${first.error.code} ${digest}`;
    if (this.#known.has(same)) return;
    this.#known.add(same);
    const { key, hub, partitionId, sequenceNumber, error, replayOf, truncated } = first;
    const number = parts[0]!;
    this.#letters.set(number, {
      hub: this.#hub,
      number,
      parts,
      when,
      key,
      from: { hub, partitionId, sequenceNumber },
      error,
      replayOf,
      bytes: content.length,
      digest,
      text: content
        .subarray(0, TEXT_CHARACTERS * 4)
        .toString()
        .slice(0, TEXT_CHARACTERS),
      roomId: roomOf(content),
      isCut: truncated === true,
      note: undefined,
    });
  }
}

const beginning = (letter: DeadLetter, number: number, when?: Date): Begun => ({
  first: letter,
  when,
  parts: [number],
  contents: [bytesOf(letter)],
});

const placeOf = ({ hub, partitionId, sequenceNumber }: DeadLetter): string =>
  `${hub}/${partitionId}/${sequenceNumber}`;

function roomOf(content: Buffer): number | undefined {
  try {
    const { roomId } = JSON.parse(content.toString());
    return typeof roomId === "number" ? roomId : undefined;
  } catch {
    return undefined;
  }
}
