import type { EventBus } from "../bus/eventBus.js";
import { MESSAGES_HUB, type MessageSent, parseMessageSent } from "../events/messages.js";
import { parseRoomRead, type RoomRead } from "../events/reads.js";
import { contentOf, type Letter, markOf } from "./letters.js";
import { note } from "./notes.js";

/** A letter whose event was published again, and what this version reads in it. */
export interface Sent {
  readonly letter: Letter;
  readonly message?: MessageSent;
  readonly read?: RoomRead;
}

/** A letter whose event is still only in the letter, and why. */
export interface Unsent {
  readonly letter: Letter;
  readonly reason: string;
}

export interface Replayed {
  readonly sent: readonly Sent[];
  readonly unsent: readonly Unsent[];
}

/** After so many that noted nothing, a program that is ended repeats at most these. */
const NOTED_TOGETHER = 50;
/** A single event may be refused for its size. So many one after the other mean that the bus is away. */
const FAILED_TOGETHER = 3;

/**
 * Publishes events again on the hub they came from, under their key and with their bytes, in the order of the
 * letters of one hub, and notes it. The note comes after the events: a crash in between leads to a repeat,
 * which the store drops, and never to a letter that is taken for replayed.
 */
export async function replayLetters(
  bus: EventBus,
  hub: string,
  letters: readonly Letter[],
): Promise<Replayed> {
  const [sent, unsent]: [Sent[], Unsent[]] = [[], []];
  let [noted, failed] = [0, 0];
  const noteSent = async (): Promise<void> => {
    const done = sent.slice(noted).map(({ letter }) => letter);
    noted = sent.length;
    await note(bus, hub, "replayed", done);
  };
  for (const letter of letters) {
    try {
      if (failed >= FAILED_TOGETHER) throw new Error("the bus refused those before it");
      sent.push(sentOf(letter, await publishAgain(bus, letter)));
      failed = 0;
    } catch (error) {
      failed += 1;
      unsent.push({ letter, reason: (error as Error).message });
    }
    if (sent.length - noted >= NOTED_TOGETHER) await noteSent();
  }
  await noteSent();
  return { sent, unsent };
}

async function publishAgain(bus: EventBus, letter: Letter): Promise<Buffer> {
  if (letter.isCut) throw new Error("an older version of the app has cut its content");
  const content = await contentOf(bus, letter);
  await bus.publishAgain(letter.from.hub, letter.key, content, markOf(letter));
  return content;
}

/** Without the bytes, which may be large. What can't be read can't be stored either. */
function sentOf(letter: Letter, content: Buffer): Sent {
  try {
    return letter.from.hub === MESSAGES_HUB
      ? { letter, message: parseMessageSent(content) }
      : { letter, read: parseRoomRead(content) };
  } catch {
    return { letter };
  }
}
