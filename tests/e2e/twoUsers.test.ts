import { expect, test } from "vitest";
import { call, connect, makeRoom, newUsers, until } from "../support/client.js";
import { talk } from "../support/talk.js";

// As `tests/long/talk.test.ts` has it of a thousand each.
test("two users send 100 messages each: both receive all of them once, in one order, equal to the history", async () => {
  await talk(100);
});

test("a message sent again with its clientMessageId is stored and shown once, and has its receipt every time", async () => {
  const [ann] = newUsers(1) as [number];
  const roomId = await makeRoom([ann]);
  const a = await connect(ann);
  const seen = await a.subscribe(`/sub/chat/room/${roomId}`);
  for (let times = 0; times < 5; times += 1) await a.say(roomId, "hello", { clientMessageId: "same" });
  await Promise.all([
    a.say(roomId, "hello", { clientMessageId: 5 }),
    a.say(roomId, "hello", { clientMessageId: 5 }),
  ]);
  await a.say(roomId, "last");
  await until(() => seen.at(-1)?.content === "last", "the last message");
  expect(seen.map(({ clientMessageId, content }) => [clientMessageId, content])).toEqual([
    ["same", "hello"],
    [5, "hello"],
    [null, "last"],
  ]);
  await a.close();
});

test("the senderId of a payload is ignored", async () => {
  const [ann, ben] = newUsers(2) as [number, number];
  const roomId = await makeRoom([ann, ben]);
  const a = await connect(ann);
  const seen = await a.subscribe(`/sub/chat/room/${roomId}`);
  await a.say(roomId, "it is me", { senderId: ben });
  await until(() => seen.length === 1, "the message");
  expect(seen[0].senderId).toBe(ann);
  await a.close();
});

test("a room of many rooms: messages of one never show in another", async () => {
  const [ann, ben, cho] = newUsers(3) as [number, number, number];
  const [first, second] = [await makeRoom([ann, ben]), await makeRoom([ann, cho])];
  const [a, b, c] = [await connect(ann), await connect(ben), await connect(cho)];
  const seenByBen = await b.subscribe(`/sub/chat/room/${first}`);
  const seenByCho = await c.subscribe(`/sub/chat/room/${second}`);
  for (let index = 0; index < 20; index += 1)
    await a.say(index % 2 === 0 ? first : second, `message ${index}`);
  await until(() => seenByBen.length === 10 && seenByCho.length === 10, "ten messages each");
  expect(seenByBen.every(({ roomId }) => roomId === first)).toBe(true);
  expect(seenByCho.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  await Promise.all([a.close(), b.close(), c.close()]);
});

test("both users of a one-to-one room that is opened from both sides at once get the same room", async () => {
  const [ann, ben] = newUsers(2) as [number, number];
  const answers = await Promise.all([
    call("POST", "/rooms", ann, { targetUserId: ben }),
    call("POST", "/rooms", ben, { targetUserId: ann }),
    call("POST", "/rooms", ann, { targetUserId: ben }),
  ]);
  expect(new Set(answers.map(({ body }) => body.roomId)).size).toBe(1);
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 201]);
});
