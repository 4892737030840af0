import type { Rule } from "../rule.js";
import { isSystem, roomsStored } from "../run.js";
import type { StoredMessage, StoredRoom } from "../stored.js";

/** In each room `seq` is 1, 2, 3, …, and the room's row says the same of its end. */
export const seq: Rule = (run) =>
  roomsStored(run).flatMap(({ room, row, messages }) => [
    ...gaps(messages),
    ...(row ? endOf(row, messages) : [`room ${room} is gone`]),
  ]);

const gaps = (messages: readonly StoredMessage[]): string[] =>
  messages.flatMap((message, index) =>
    message.seq === index + 1
      ? []
      : [`room ${message.room} has seq ${message.seq} where ${index + 1} belongs`],
  );

function endOf(row: StoredRoom, messages: readonly StoredMessage[]): string[] {
  const last = messages.at(-1);
  const uncounted = messages.filter(isSystem).length;
  const expected = [last?.seq ?? 0, last?.messageId ?? null, uncounted];
  const found = [row.lastSeq, row.lastMessageId, row.lastUncounted];
  if (JSON.stringify(found) === JSON.stringify(expected)) return [];
  return [
    `room ${row.room} says of its end ${JSON.stringify(found)}, where ${JSON.stringify(expected)} is stored`,
  ];
}
