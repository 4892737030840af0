import type { RoomMessage, StoredMessage } from "@nonstop/chat-client";
import { useEffect, useState } from "react";

/** The `seq` of the last stored message; 0 when there is none. */
export function lastSeqOf(messages: readonly RoomMessage[]): number {
  const last = messages.findLast((message) => message.state === "stored");
  return last?.seq ?? 0;
}

/** How many messages of others have come since the user scrolled away from the end. */
export function useNewCount(messages: readonly RoomMessage[], isAtEnd: boolean, me: number): number {
  const [seen, setSeen] = useState(0);
  const last = lastSeqOf(messages);
  useEffect(() => {
    if (isAtEnd || seen === 0) setSeen(last);
  }, [isAtEnd, seen, last]);
  if (isAtEnd || seen === 0) return 0;
  return newSince(messages, seen, me).length;
}

/** The messages of others behind this `seq`. The search begins at the end: there may be thousands before. */
export function newSince(messages: readonly RoomMessage[], seq: number, me: number): StoredMessage[] {
  const found: StoredMessage[] = [];
  for (let index = messages.length - 1; index >= 0; index -= 1) {
    const message = messages[index]!;
    if (message.state !== "stored") continue;
    if (message.seq <= seq) break;
    if (message.senderId !== me) found.push(message);
  }
  return found.reverse();
}
