import type { RoomMessage } from "@nonstop/chat-client";

/** Neighbouring messages that the browser draws, measures and skips together. */
export interface Chunk {
  readonly key: number;
  readonly messages: readonly RoomMessage[];
  readonly before: RoomMessage | undefined;
  readonly after: RoomMessage | undefined;
}

const SIZE = 50;

/** The key of the chunk with this `seq`. It does not depend on what is loaded. */
export const chunkOf = (seq: number): number => Math.floor(seq / SIZE);

/**
 * Divides the messages by their `seq`. A message that isn't stored yet is counted as if it got the next
 * `seq`: if it gets that one, its row need not move to another chunk.
 */
export function chunksOf(messages: readonly RoomMessage[]): Chunk[] {
  const chunks: Chunk[] = [];
  let [start, next] = [0, 0];
  for (const [index, message] of messages.entries()) {
    const seq = message.state === "stored" ? message.seq : next;
    if (index > start && chunkOf(seq) !== chunkOf(next - 1)) {
      chunks.push(chunk(messages, start, index, chunkOf(next - 1)));
      start = index;
    }
    next = seq + 1;
  }
  if (messages.length > 0) chunks.push(chunk(messages, start, messages.length, chunkOf(next - 1)));
  return chunks;
}

const chunk = (messages: readonly RoomMessage[], start: number, end: number, key: number): Chunk => ({
  key,
  messages: messages.slice(start, end),
  before: messages[start - 1],
  after: messages[end],
});

/** Whether both are drawn the same. */
export const isSameChunk = (a: Chunk, b: Chunk): boolean =>
  a.key === b.key &&
  a.before === b.before &&
  a.after === b.after &&
  a.messages.length === b.messages.length &&
  a.messages.every((message, index) => message === b.messages[index]);
