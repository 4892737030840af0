import { destinationKey, destinationText } from "../fanout/groups.js";
import { type BroadcastDeps, broadcastFrames, type PreparedFrame } from "../fanout/send.js";
import { messageShownFrame, type ShownMessage } from "../frames/message.js";
import { prepareMessage } from "../stomp/serializer.js";

/**
 * Shows stored messages to the subscribers of their rooms, those of one room in the order given and together in one
 * send for each group that takes several frames a message, in one each for the others. Throws `UNAVAILABLE` when the socket service can't be reached: then all is sent
 * again, and clients drop repeats by `seq`.
 */
export async function broadcastMessages(shown: readonly ShownMessage[], deps: BroadcastDeps): Promise<void> {
  const frames = new Map<string, PreparedFrame[]>();
  for (const one of shown) {
    const key = destinationKey({ kind: "room", roomId: one.message.roomId }, 0);
    const prepared = prepareMessage(...messageShownFrame(one));
    const known = frames.get(key);
    if (known) known.push(prepared);
    else frames.set(key, [prepared]);
  }
  await broadcastFrames(frames, deps);
}

/** Tells users on their `/user/queue/errors` what was refused after it had been accepted. */
export async function broadcastErrors(
  refused: readonly { readonly userId: number; readonly messageId: string; readonly body: string }[],
  deps: BroadcastDeps,
): Promise<void> {
  const frames = new Map<string, PreparedFrame[]>();
  for (const { userId, messageId, body } of refused) {
    const key = destinationKey({ kind: "userErrors" }, userId);
    const headers = {
      destination: destinationText({ kind: "userErrors" }),
      "message-id": messageId,
      "content-type": "application/json",
    };
    frames.set(key, [...(frames.get(key) ?? []), prepareMessage(headers, body)]);
  }
  await broadcastFrames(frames, deps);
}
