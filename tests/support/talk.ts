import { expect } from "vitest";
import { connect, history, type Json, makeRoom, newUsers, until } from "./client.js";

/**
 * Two users send `messages` messages each into a room, fifty at a time. Both users must receive all messages
 * once, in the history's order.
 */
export async function talk(messages: number): Promise<void> {
  const [ann, ben] = newUsers(2) as [number, number];
  const roomId = await makeRoom([ann, ben]);
  const [a, b] = await Promise.all([connect(ann, { nickname: "Ann" }), connect(ben)]);
  const [seenByAnn, seenByBen] = await Promise.all([
    a.subscribe(`/sub/chat/room/${roomId}`),
    b.subscribe(`/sub/chat/room/${roomId}`),
  ]);
  const sendAll = async (from: typeof a, name: string): Promise<void> => {
    for (let first = 0; first < messages; first += 50)
      await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          from.say(roomId, `${name} ${first + index}`, { clientMessageId: `${name}-${first + index}` }),
        ),
      );
  };
  await Promise.all([sendAll(a, "ann"), sendAll(b, "ben")]);
  await until(
    () => seenByAnn.length >= 2 * messages && seenByBen.length >= 2 * messages,
    "all messages at both",
  );

  expect(seenByAnn.map(({ seq }) => seq)).toEqual(
    Array.from({ length: 2 * messages }, (_, index) => index + 1),
  );
  expect(seenByBen).toEqual(seenByAnn);
  const stored = await history(roomId, ann);
  const place = ({ messageId, seq, content, senderId, clientMessageId, sentAt }: Json): Json => ({
    messageId,
    seq,
    content,
    senderId,
    clientMessageId,
    sentAt,
  });
  expect(stored.map(place)).toEqual(seenByAnn.map(place));
  for (const [sender, name] of [
    [ann, "ann"],
    [ben, "ben"],
  ] as const)
    expect(stored.filter(({ senderId }) => senderId === sender).map(({ content }) => content)).toEqual(
      Array.from({ length: messages }, (_, index) => `${name} ${index}`),
    );
  expect(stored[0]).toMatchObject({
    roomId,
    type: "TEXT",
    sentAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/),
  });
  expect(stored.find(({ senderId }) => senderId === ann)?.senderNickname).toBe("Ann");
  expect(stored.find(({ senderId }) => senderId === ben)?.senderNickname).toBe(`User ${ben}`);
  await Promise.all([a.close(), b.close()]);
}
