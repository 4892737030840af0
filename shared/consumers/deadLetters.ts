import { isUtf8 } from "node:buffer";
import type { EventBus, ReceivedEvent } from "../bus/eventBus.js";
import type { DeadLetter } from "../events/deadLetters.js";
import type { ChatError } from "../platform/errors.js";
import { count } from "../platform/metrics.js";
import type { Stream } from "../store/streamPositions.js";

/** An event that no retry can help, and why. */
export interface Refused {
  readonly event: ReceivedEvent;
  readonly error: ChatError;
  /** The key it should have, where it could be read. */
  readonly key?: string;
  /** The user who caused it, where they are to be told. */
  readonly tellUserId?: number;
}

/** The bytes that a body may take in the letter's JSON, so that the letter fits in an event of 1 MB. */
const BODY_BYTES = 768 * 1024;
/** The bytes that take that much in base64. */
const PART_BYTES = (BODY_BYTES / 4) * 3;

/**
 * Hands refused events to the dead-letter hub, one by one and in their order, before the transaction that moves past them
 * commits. A crash in between can repeat a dead letter, which its sequence number shows, but never lose one.
 * Throws `UNAVAILABLE` when the bus is away.
 */
export async function publishDeadLetters(
  stream: Stream,
  refused: readonly Refused[],
  deadLetterHub: string,
  bus: Pick<EventBus, "publish">,
): Promise<void> {
  for (const one of refused.toSorted((a, b) => a.event.sequenceNumber - b.event.sequenceNumber)) {
    // A crash between two parts repeats the whole letter.
    for (const letter of deadLetters(stream, one))
      await bus.publish(deadLetterHub, letter.key, letter, one.event.traceparent);
    count.deadLetter(stream.hub, one.error.code);
  }
}

function deadLetters(stream: Stream, { event, error, key }: Refused): readonly DeadLetter[] {
  const letter = {
    v: 1,
    key: event.key ?? key ?? "",
    hub: stream.hub,
    partitionId: stream.partitionId,
    sequenceNumber: event.sequenceNumber,
    error: { code: error.code, message: error.message },
    ...(event.replayOf !== undefined && { replayOf: event.replayOf }),
  } as const;
  return bodiesOf(Buffer.from(event.body)).map((body) => ({ ...letter, ...body }));
}

/**
 * The body as text. In base64 where it is no text, or where escaping would make it too long; in several parts
 * where even that would be too long.
 */
function bodiesOf(bytes: Buffer): readonly Pick<DeadLetter, "body" | "bodyBase64" | "part">[] {
  if (bytes.length <= BODY_BYTES && isUtf8(bytes)) {
    const body = bytes.toString();
    if (Buffer.byteLength(JSON.stringify(body)) <= BODY_BYTES) return [{ body }];
  }
  const of = Math.ceil(bytes.length / PART_BYTES);
  if (of <= 1) return [{ bodyBase64: bytes.toString("base64") }];
  return Array.from({ length: of }, (_, index) => ({
    bodyBase64: bytes.subarray(index * PART_BYTES, (index + 1) * PART_BYTES).toString("base64"),
    part: { number: index + 1, of },
  }));
}
