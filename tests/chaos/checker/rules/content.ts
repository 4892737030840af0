import type { Rule } from "../rule.js";

/** Whatever anybody saw, live or in a history, is what is stored under its `seq`: id, sender, content. */
export const content: Rule = (run) => {
  const stored = new Map(
    run.stored.messages.map((message) => [`${message.room} ${message.seq}`, message] as const),
  );
  return run.sights.flatMap(({ seen, client, how }) => {
    const { room, seq, messageId, sender, id, type, hash } = seen;
    const message = stored.get(`${room} ${seq}`);
    const where = `seq ${seq} of room ${room}, as ${client} saw it (${how}),`;
    if (!message) return [`${where} is not stored`];
    const same =
      message.messageId === messageId &&
      message.sender === sender &&
      message.id === id &&
      message.type === type &&
      message.hash === hash;
    return same ? [] : [`${where} differs from what is stored`];
  });
};
