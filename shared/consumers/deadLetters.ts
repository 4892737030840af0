import { isUtf8 } from "node:buffer";
import type { EventBus } from "../bus/eventBus.js";
import { type DeadLetter, MESSAGES_DEAD_LETTER_HUB } from "../events/messages.js";
import type { Stream } from "../store/streamPositions.js";
import type { Refused } from "./decideMessages.js";

/** In base64 and with its surroundings a body of this size still fits in an event of 1 MB. */
const BODY_BYTES = 512 * 1024;

/**
 * Hands refused events to the dead-letter hub, one by one, before the transaction that moves past them commits: a crash in between can
 * repeat a dead letter (its place tells) but never lose one. Throws `UNAVAILABLE` when the bus is away.
 */
export async function publishDeadLetters(
  stream: Stream,
  refused: readonly Refused[],
  bus: Pick<EventBus, "publish">,
): Promise<void> {
  for (const one of refused) {
    const letter = deadLetter(stream, one);
    await bus.publish(MESSAGES_DEAD_LETTER_HUB, letter.key, letter);
  }
}

function deadLetter(stream: Stream, { event, error, message }: Refused): DeadLetter {
  const cut = event.body.length > BODY_BYTES;
  const bytes = Buffer.from(event.body.subarray(0, BODY_BYTES));
  return {
    v: 1,
    key: event.key ?? (message ? String(message.roomId) : ""),
    hub: stream.hub,
    partitionId: stream.partitionId,
    sequenceNumber: event.sequenceNumber,
    error: { code: error.code, message: error.message },
    ...(isUtf8(bytes) ? { body: bytes.toString() } : { bodyBase64: bytes.toString("base64") }),
    ...(cut ? { truncated: true } : {}),
  };
}
