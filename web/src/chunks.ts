import type { RoomMessage } from "@nonstop/chat-client";

/** Messages that are drawn, measured and skipped together. */
export interface Chunk {
  readonly key: number;
  readonly messages: readonly RoomMessage[];
  readonly before: RoomMessage | undefined;
  readonly after: RoomMessage | undefined;
}

const SIZE = 50;

/** In which chunk the message with this `seq` is: always the same one, whatever is loaded before it. */
export const chunkOf = (seq: number): number => Math.floor(seq / SIZE);

/**
 * Parts the messages by their `seq`. What isn't stored yet stands where it will be if nothing else comes first: its row need not
 * move to another chunk then.
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

/** Whether both would be drawn alike. */
export const isSameChunk = (a: Chunk, b: Chunk): boolean =>
  a.key === b.key &&
  a.before === b.before &&
  a.after === b.after &&
  a.messages.length === b.messages.length &&
  a.messages.every((message, index) => message === b.messages[index]);
