import { afterEach, expect, inject, test } from "vitest";
import { ChatClient, type ChatClientOptions, type Room, type RoomMessage } from "../../client/index.js";
import { call, history, makeRoom, newUsers, tokenFor, until } from "../support/client.js";

const open: ChatClient[] = [];
afterEach(async () => {
  for (const client of open.splice(0)) await client.disconnect();
});

function chatClient(userId: number, options: Partial<ChatClientOptions> = {}): ChatClient {
  const client = new ChatClient({ url: inject("stack").api, token: () => tokenFor(userId), ...options });
  open.push(client);
  return client;
}

const texts = (messages: readonly RoomMessage[]) => messages.map(({ content }) => content);
const stored = (room: Room) =>
  room.messages.flatMap((message) => (message.state === "stored" ? [message] : []));

test("two users talk, and the '1' vanishes when the other one has read", async () => {
  const [ann, ben] = newUsers(2) as [number, number];
  const roomId = await makeRoom([ann, ben]);
  const [clientA, clientB] = [chatClient(ann), chatClient(ben)];
  await Promise.all([clientA.connect(), clientB.connect()]);
  const [roomA, roomB] = [clientA.open(roomId), clientB.open(roomId)];
  await Promise.all([roomA.ready, roomB.ready]);
  const states = new Set<string>();
  roomA.on("change", () => states.add(roomA.messages.at(-1)?.state ?? ""));
  const sent = await roomA.send("Hello");
  expect(sent).toMatchObject({ content: "Hello", seq: 1, senderId: ann, state: "stored" });
  expect([...states]).toEqual(["sending", "accepted", "stored"]);
  await until(() => roomB.messages.length === 1, "the message is there");
  expect(stored(roomA)[0]!.unreadCount).toBe(1);
  roomB.markRead();
  await until(() => stored(roomA)[0]!.unreadCount === 0, "it is read");
  expect(texts(roomA.messages)).toEqual(["Hello"]);
  expect(await history(roomId, ann)).toMatchObject([{ content: "Hello", unreadCount: 0 }]);
});

test("the list of rooms shows what is new, live", async () => {
  const [ann, ben] = newUsers(2) as [number, number];
  const [clientA, clientB] = [chatClient(ann), chatClient(ben)];
  await Promise.all([clientA.connect(), clientB.connect()]);
  expect(await clientB.rooms()).toEqual([]);
  const roomId = await clientA.openWith(ben);
  const roomA = clientA.open(roomId);
  await roomA.send("One");
  await roomA.send("Two");
  await until(() => clientB.roomList?.[0]?.unreadCount === 2, "two are unread");
  expect(clientB.roomList).toMatchObject([
    { roomId, type: "ONE_TO_ONE", lastMessage: { content: "Two", seq: 2 } },
  ]);
  const roomB = clientB.open(roomId);
  await roomB.ready;
  expect(roomB.unreadFrom).toBe(1);
  roomB.markRead();
  await until(() => clientB.roomList?.[0]?.unreadCount === 0, "none is unread");
  await until(() => stored(roomA).every(({ unreadCount }) => unreadCount === 0), "the other one sees it");
});

test("what can't be stored is refused, and what follows it is sent", async () => {
  const [ann, ben] = newUsers(2) as [number, number];
  const roomId = await makeRoom([ann, ben]);
  const client = chatClient(ann);
  await client.connect();
  const room = client.open(roomId);
  const blank = room.send("   ");
  const fine = room.send("fine");
  await expect(blank).rejects.toMatchObject({ code: "INVALID_MESSAGE" });
  await expect(fine).resolves.toMatchObject({ content: "fine" });
  await call("DELETE", `/rooms/${roomId}`, ann);
  await expect(room.send("gone")).rejects.toMatchObject({ code: "NOT_A_MEMBER" });
});
