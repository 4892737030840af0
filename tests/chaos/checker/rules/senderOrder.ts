import type { Rule } from "../rule.js";
import { keyOf, type Run, type Send } from "../run.js";

/**
 * A connection's messages in a room keep the order of their SENDs. Of what was sent more than once nothing is
 * promised but the place of its first accepted SEND, which a client can't tell.
 */
export const senderOrder: Rule = (run) => {
  const seqs = new Map(
    run.stored.messages.map(({ room, sender, id, seq }) => [keyOf(room, sender, id), seq]),
  );
  return [...streams(run).values()].flatMap((sends) =>
    sends.flatMap((send, index) => {
      const before = sends[index - 1];
      const [seq, last] = [send, before].map((one) => one && seqs.get(keyOf(one.room, one.user, one.id)));
      if (!before || seq === undefined || last === undefined || last < seq) return [];
      return [
        `${send.client} sent ${before.id} before ${send.id} into room ${send.room}: they have seq ${last} and ${seq}`,
      ];
    }),
  );
};

/** What was sent once and accepted, by connection and room, in order. */
function streams(run: Run): Map<string, Send[]> {
  const streams = new Map<string, Send[]>();
  const stored = new Set(run.stored.messages.map(({ room, sender, id }) => keyOf(room, sender, id)));
  for (const send of run.sends.values()) {
    const { tries, accepted, client, room, user, id } = send;
    if (tries.length !== 1 || accepted.length === 0 || !stored.has(keyOf(room, user, id))) continue;
    const key = `${client} ${tries[0]?.connection} ${room}`;
    streams.set(key, [...(streams.get(key) ?? []), send]);
  }
  return streams;
}
