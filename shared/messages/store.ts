import type { EventBatch } from "../bus/eventBus.js";
import { consumeBatch } from "../consumers/consumeBatch.js";
import type { BatchHandler } from "../consumers/handler.js";
import { MESSAGES_DEAD_LETTER_HUB } from "../events/messages.js";
import { destinationOf, hasMany } from "./broadcast.js";
import { decideMessages } from "./decide.js";
import type { MessagesDeps } from "./deps.js";
import { showMessages, showMessagesAgain } from "./show.js";
import { combineStored, nothingStored, type StoredMessages, writeMessages } from "./write.js";

/**
 * Stores a batch of messages and shows it to the subscribers of their rooms. `consumeBatch` says what becomes
 * of each event, what it throws, and when it returns before all is shown.
 */
export const storeMessages = (batch: EventBatch, deps: MessagesDeps): Promise<void> =>
  consumeBatch(batch, handlerOf(deps), deps);

const handlerOf = (deps: MessagesDeps): BatchHandler<StoredMessages> => ({
  async lookUp(tx, events) {
    const decision = await decideMessages(tx, events);
    return async () => ({ result: await writeMessages(tx, decision), refused: decision.refused });
  },
  deadLetterHub: MESSAGES_DEAD_LETTER_HUB,
  nothing: nothingStored,
  combine: combineStored,
  show: (stream, result, refused, before) => showMessages(stream, result, refused, deps, before),
  shown: {
    kind: "byPosition",
    keysOf: ({ shown }) => new Set(shown.map(destinationOf)),
    isLong: ({ shown }) => hasMany(shown),
    again: (stream, events, position) => showMessagesAgain(stream, events, position, deps),
  },
});
