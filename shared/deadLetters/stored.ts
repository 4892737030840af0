import { dedupeKey, saysTheSame } from "../events/messages.js";
import type { RoomRead } from "../events/reads.js";
import type { Database } from "../store/database.js";
import { findMember } from "../store/members.js";
import { findByDedupeKeys, findPlaces } from "../store/messages.js";
import type { FindStored } from "./follow.js";
import type { Letter } from "./letters.js";
import type { Sent } from "./replay.js";

const TOGETHER = 500;

/** Looks in the database for what was stored. */
export const storedIn =
  (database: Database): FindStored =>
  async (sent) => {
    const found = new Map<Letter, string>();
    for (let from = 0; from < sent.length; from += TOGETHER)
      await findMessages(database, sent.slice(from, from + TOGETHER), found);
    for (const { letter, read } of sent)
      if (read && (await isStored(database, read))) found.set(letter, "a read position");
    return found;
  };

/** A message is known by its dedupe key. Another one that its sender gave the same id is not this one. */
async function findMessages(
  database: Database,
  sent: readonly Sent[],
  found: Map<Letter, string>,
): Promise<void> {
  const keyed = sent.flatMap(({ letter, message }) =>
    message ? [{ letter, message, key: dedupeKey(message) }] : [],
  );
  const keys = new Map<number, Buffer[]>();
  for (const { message, key } of keyed) keys.set(message.roomId, [...(keys.get(message.roomId) ?? []), key]);
  const stored = await findByDedupeKeys(database, keys);
  for (const { letter, message, key } of keyed) {
    const known = stored.get(`${message.roomId}:${key.toString("hex")}`);
    if (known && saysTheSame(known, message))
      found.set(letter, `message ${known.messageId}, seq ${known.seq}`);
  }
}

/** Whether the member has read the room up to the message, or further. */
async function isStored(database: Database, { roomId, userId, messageId }: RoomRead): Promise<boolean> {
  const member = await findMember(database, roomId, userId);
  const place = (await findPlaces(database, [messageId])).get(messageId);
  return place?.roomId === roomId && member !== undefined && member.lastReadSeq >= place.seq;
}
