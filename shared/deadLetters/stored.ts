import { dedupeKey, MESSAGES_HUB, parseMessageSent, saysTheSame } from "../events/messages.js";
import { parseRoomRead } from "../events/reads.js";
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
    const messages = sent.filter(({ letter }) => letter.from.hub === MESSAGES_HUB);
    for (let from = 0; from < messages.length; from += TOGETHER)
      await findMessages(database, messages.slice(from, from + TOGETHER), found);
    for (const one of sent)
      if (one.letter.from.hub !== MESSAGES_HUB && (await isRead(database, one)))
        found.set(one.letter, "a read position");
    return found;
  };

/** A message is known by its dedupe key. Another one that its sender gave the same id is not this one. */
async function findMessages(
  database: Database,
  sent: readonly Sent[],
  found: Map<Letter, string>,
): Promise<void> {
  const events = sent.flatMap(({ letter, content }) => {
    const event = readable(() => parseMessageSent(content));
    return event ? [{ letter, event, key: dedupeKey(event) }] : [];
  });
  const keys = new Map<number, Buffer[]>();
  for (const { event, key } of events) keys.set(event.roomId, [...(keys.get(event.roomId) ?? []), key]);
  const stored = await findByDedupeKeys(database, keys);
  for (const { letter, event, key } of events) {
    const message = stored.get(`${event.roomId}:${key.toString("hex")}`);
    if (message && saysTheSame(message, event))
      found.set(letter, `message ${message.messageId}, seq ${message.seq}`);
  }
}

/** Whether the member has read the room up to the message, or further. */
async function isRead(database: Database, { content }: Sent): Promise<boolean> {
  const read = readable(() => parseRoomRead(content));
  if (!read) return false;
  const member = await findMember(database, read.roomId, read.userId);
  const place = (await findPlaces(database, [read.messageId])).get(read.messageId);
  return place?.roomId === read.roomId && member !== undefined && member.lastReadSeq >= place.seq;
}

/** Nothing for an event that this version can't read: it can't be stored either. */
function readable<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}
