import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { chaosProxy, connected, opened } from "../support/chat.js";
import { connect, history, makeRoom, newUsers, tokenFor, until } from "../support/client.js";

// Of the chat client, what happens only when real time has passed: the service looks at the end of a token by
// its own clock.
const two = () => newUsers(2) as [number, number];

test("the token is renewed before it ends, on the same connection", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const proxy = await chaosProxy();
  let tokens = 0;
  const token = () => {
    tokens += 1;
    return tokenFor(ann, { expiresIn: 15 });
  };
  const room = await opened(await connected(ann, { url: proxy.url, token }), roomId);
  // The first one has ended long before the third is asked for.
  await until(() => tokens === 3, "it is renewed twice");
  await expect(room.send("still here")).resolves.toMatchObject({ state: "stored" });
  expect(proxy.opened).toBe(1);
});

test("what is sent, read and opened after the token has ended is not lost, whenever there is a new one", async () => {
  const [ann, ben] = two();
  const [roomId, another] = [await makeRoom([ann, ben]), await makeRoom([ann, ben])];
  const ends = Date.now() + 15_000;
  let isAway = false;
  let next: string | undefined;
  // As a source with a memory: the same token for as long as it is good.
  const token = async () => {
    if (isAway) throw new Error("no identity provider");
    if (Date.now() > ends) next ??= await tokenFor(ann);
    return next ?? (await tokenFor(ann, { expiresIn: 15 }));
  };
  const client = await connected(ann, { token });
  const room = await opened(client, roomId);
  const writer = await connect(ben);
  await writer.say(roomId, "to be read");
  await until(() => room.messages.length === 1, "it is there");
  isAway = true;
  await pause(ends - Date.now() + 2_000);
  room.markRead();
  const sent = room.send("kept");
  const other = client.open(another);
  await pause(500);
  isAway = false;
  await expect(sent).resolves.toMatchObject({ content: "kept" });
  await other.ready;
  await until(async () => (await history(roomId, ben))[0].unreadCount === 0, "it is read");
  await writer.close();
});

test("after disconnect() nothing is asked, and with the next connect() an open room goes on", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const proxy = await chaosProxy();
  let tokens = 0;
  const token = () => {
    tokens += 1;
    return tokenFor(ben, { expiresIn: 12 });
  };
  const client = await connected(ben, { url: proxy.url, token });
  let calls = 0;
  proxy.mood = {
    answer: (path) => {
      if (!path.includes("/messages")) return undefined;
      calls += 1;
      return 503;
    },
  };
  const room = client.open(roomId);
  await until(() => calls > 0, "the room's page was asked for");
  await client.disconnect();
  [calls, tokens] = [0, 0];
  // It would have been renewed by now.
  await pause(10_000);
  expect([calls, tokens]).toEqual([0, 0]);
  proxy.mood = {};
  await client.connect();
  await room.ready;
  expect(room.status).toBe("ready");
});

test("a service that takes long for each SUBSCRIBE is not left: it would have to begin anew", async () => {
  const [ann, ben] = two();
  for (let count = 0; count < 25; count += 1) await makeRoom([ann, ben]);
  const proxy = await chaosProxy();
  const client = await connected(ben, { url: proxy.url });
  proxy.mood = { subscribeMs: 700 };
  const [first] = await client.rooms();
  const room = await opened(client, first!.roomId);
  await until(async () => {
    await room.send("through");
    return true;
  }, "a message passes behind them");
  expect([proxy.opened, client.connection.status]).toEqual([1, "connected"]);
});
