import type { Rule } from "../rule.js";
import { keyOf, roomsStored } from "../run.js";

/** No message is stored twice: no `clientMessageId` of a user stands in a room more than once. */
export const once: Rule = (run) => {
  const seqs = new Map<string, number[]>();
  for (const { messages } of roomsStored(run))
    for (const { room, sender, id, seq } of messages.filter((message) => message.id !== "null"))
      seqs.set(keyOf(room, sender, id), [...(seqs.get(keyOf(room, sender, id)) ?? []), seq]);
  return [...seqs]
    .filter(([, all]) => all.length > 1)
    .map(([key, all]) => `the message ${key} (room, user, id) is stored as seq ${all.join(" and ")}`);
};
