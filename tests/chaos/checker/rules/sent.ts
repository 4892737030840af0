import type { Rule } from "../rule.js";
import { isSystem, roomsStored } from "../run.js";

/** What is stored was sent, by the user whose it is, with this content. */
export const sent: Rule = (run, proofs) =>
  roomsStored(run).flatMap(({ messages }) =>
    messages
      .filter((message) => !isSystem(message))
      .flatMap((message) => {
        const send = proofs.send(message);
        const { room, seq, sender, id } = message;
        if (!send) return [`room ${room} has seq ${seq}, message ${id} of user ${sender}, who never sent it`];
        if (send.hash === message.hash) return [];
        return [`room ${room} has seq ${seq} with another content than user ${sender} sent as ${id}`];
      }),
  );
