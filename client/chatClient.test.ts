import { describe, expect, test } from "vitest";
import {
  ANN,
  type Answer,
  type Asked,
  BEN,
  CEM,
  ended,
  isHeard,
  member,
  message,
  ROOM,
  roomsAnswer,
  Service,
  summary,
  tellRoom,
  tokenOf,
  until,
  wait,
} from "../tests/support/scriptedService.js";
import { ChatClient, type ChatClientOptions } from "./chatClient.js";
import type { Room } from "./room.js";
import type { ChatTiming } from "./timing.js";
import type { ConnectionState, Member } from "./types.js";

/** Long enough for a client with such pauses to come back several times. */
const QUIET_MS = 300;
/** Pauses that a test needn't wait for. */
const QUICK: Partial<ChatTiming> = { firstPauseMs: 20, longestPauseMs: 40 };

function clientOf(service: Service, options: Partial<ChatClientOptions> = {}): ChatClient {
  const client = new ChatClient({ url: service.url, token: () => tokenOf(ANN), timing: QUICK, ...options });
  ended.unshift(() => client.disconnect());
  return client;
}

async function connectedTo(service: Service, options?: Partial<ChatClientOptions>): Promise<ChatClient> {
  const client = clientOf(service, options);
  await client.connect();
  return client;
}

describe("however the service packs its frames", () => {
  test.each<[how: string, dress: (frame: string) => readonly string[]]>([
    ["one a message", (frame) => [frame]],
    ["with heart-beats alone around them", (frame) => ["\n", frame, "\r\n"]],
    ["with EOLs before and behind", (frame) => [`\n\r\n${frame}\n\n`]],
    ["with lines that end in CRLF", (frame) => [frame.replace(/\n/g, "\r\n")]],
    ["each twice in a message", (frame) => [frame + frame]],
  ])("%s: the room is heard, each message once", async (_, dress) => {
    const service = await new Service().start();
    service.dress = dress;
    const client = await connectedTo(service);
    const room = client.open(ROOM);
    await room.ready;
    const subscribes = service.frames.filter(({ command }) => command === "SUBSCRIBE");
    expect(subscribes.map(({ headers }) => headers.get("packed"))).toEqual(subscribes.map(() => "true"));
    for (const seq of [1, 2, 3]) tellRoom(service, message(seq));
    await until(() => room.messages.length === 3, "all are shown");
    expect(client.connection.status).toBe("connected");
  });

  test("three in one message", async () => {
    const service = await new Service().start();
    const client = await connectedTo(service);
    const room = client.open(ROOM);
    await room.ready;
    service.dress = (frame) => [frame.repeat(2) + frame];
    const heard: number[] = [];
    client.on("message", ({ seq }) => heard.push(seq));
    tellRoom(service, message(1));
    tellRoom(service, message(2));
    await until(() => room.messages.length === 2, "both are shown");
    expect(heard).toEqual([1, 2]);
  });
});

describe("the list of rooms", () => {
  test("counts what others write, not what the service says, and nothing before one's own message", async () => {
    const service = await new Service().start();
    service.answer = ({ path }) =>
      path.startsWith("/rooms?")
        ? roomsAnswer(summary({ unreadCount: 1, lastMessage: message(4) }))
        : undefined;
    const client = await connectedTo(service);
    await client.rooms();
    await until(() => isHeard(service, ROOM), "the room is heard");
    const unread = () => client.roomList![0]!.unreadCount;
    expect(unread()).toBe(1);
    tellRoom(service, message(5, { type: "SYSTEM_RENAME", roomName: "another", unreadCount: 0 }));
    tellRoom(service, message(6));
    await until(() => unread() === 2, "one more");
    tellRoom(service, message(7, { type: "SYSTEM_LEAVE", target: { userId: CEM, nickname: "Cem" } }));
    await until(() => client.roomList![0]!.lastMessage?.seq === 7, "who left is shown");
    expect(unread()).toBe(2);
    tellRoom(service, message(8, { senderId: ANN }));
    await until(() => unread() === 0, "sending reads");
    tellRoom(service, message(9));
    await until(() => unread() === 1, "what comes behind it counts");
  });

  test("shows a new name at once, and who and what the last message speaks of", async () => {
    const service = await new Service().start();
    let lists = 0;
    service.answer = ({ path }) => {
      if (!path.startsWith("/rooms?")) return undefined;
      lists += 1;
      return roomsAnswer(summary({ lastMessage: message(4) }));
    };
    const client = await connectedTo(service);
    await client.rooms();
    await until(() => isHeard(service, ROOM), "the room is heard");
    tellRoom(service, message(5, { type: "SYSTEM_RENAME", content: "Ben renamed …", roomName: "another" }));
    await until(() => client.roomList![0]!.name === "another", "the name is shown");
    expect(client.roomList![0]!.lastMessage).toMatchObject({ senderNickname: "Ben", roomName: "another" });
    // A list that was made before, as far as anybody can tell.
    const before = lists;
    service.tell("/user/queue/rooms", { type: "ROOM_ADDED", roomId: 99, timestamp: 1 });
    await until(() => lists > before, "the list is asked for");
    await wait(50);
    expect(client.roomList![0]!.name).toBe("another");
    const targets = [BEN, CEM].map((userId) => ({ userId, nickname: `user ${userId}` }));
    tellRoom(service, message(6, { type: "SYSTEM_INVITE", target: targets[0]!, targets }));
    await until(() => client.roomList![0]!.lastMessage?.targets?.length === 2, "both are named");
  });

  test("takes the name of a room that it does not hear from a hint, the latest if they come in the wrong order", async () => {
    const service = await new Service().start();
    const many = Array.from({ length: 40 }, (_, index) =>
      summary({ roomId: index + 1, lastMessage: message(1) }),
    );
    service.answer = ({ path }) => (path.startsWith("/rooms?") ? roomsAnswer(...many) : undefined);
    const client = await connectedTo(service);
    await client.rooms();
    await until(() => isHeard(service, 30), "the first are heard");
    // All names a room ever has: the next list of this service tells the first one again.
    const names = new Map<number, Set<string | null>>();
    client.on("rooms", (rooms) => {
      for (const { roomId, name } of rooms) names.set(roomId, (names.get(roomId) ?? new Set()).add(name));
    });
    const was = (id: number, name: string) => names.get(id)?.has(name) ?? false;
    const by = { userId: BEN, nickname: "Ben" };
    const hint = (roomId: number, roomName: string, timestamp: number) =>
      service.tell("/user/queue/rooms", { type: "ROOM_RENAMED", roomId, roomName, by, timestamp });
    hint(40, "second", 2_000);
    hint(40, "first", 1_000);
    hint(39, "other", 1_000);
    await until(() => was(39, "other"), "hints are taken");
    expect([was(40, "second"), was(40, "first")]).toEqual([true, false]);
    // Of one that is heard its messages tell.
    hint(1, "early", 3_000);
    hint(39, "again", 3_000);
    await until(() => was(39, "again"), "hints are taken");
    expect(was(1, "early")).toBe(false);
  });

  test("takes a group's picture from a hint, the latest if they come in the wrong order", async () => {
    const service = await new Service().start();
    service.answer = ({ path }) =>
      path.startsWith("/rooms?") ? roomsAnswer(summary({ roomId: 1 }), summary({ roomId: 2 })) : undefined;
    const client = await connectedTo(service);
    await client.rooms();
    await until(() => isHeard(service, 2), "both are heard");
    // All pictures a room ever has: the next list of this service has none again.
    const pictures = new Map<number, Set<string | null>>();
    client.on("rooms", (rooms) => {
      for (const { roomId, imageUrl } of rooms)
        pictures.set(roomId, (pictures.get(roomId) ?? new Set()).add(imageUrl));
    });
    const was = (id: number, url: string | null) => pictures.get(id)?.has(url) ?? false;
    const by = { userId: BEN, nickname: "Ben" };
    const hint = (roomId: number, imageUrl: string | null, timestamp: number) =>
      service.tell("/user/queue/rooms", { type: "ROOM_IMAGE_CHANGED", roomId, imageUrl, by, timestamp });
    hint(1, "https://example.com/second.png", 2_000);
    hint(1, "https://example.com/first.png", 1_000);
    hint(2, "https://example.com/other.png", 1_000);
    await until(() => was(2, "https://example.com/other.png"), "hints are taken");
    expect(was(1, "https://example.com/second.png")).toBe(true);
    expect(was(1, "https://example.com/first.png")).toBe(false);
  });

  test("tells when somebody else has made one a member", async () => {
    const service = await new Service().start();
    const client = await connectedTo(service);
    const added: unknown[] = [];
    client.on("added", (room) => added.push(room));
    await client.rooms();
    const hint = (more: object) =>
      service.tell("/user/queue/rooms", { type: "ROOM_ADDED", timestamp: 1, ...more });
    const lists = () => service.asksFor(/^\/rooms\?/).length;
    const before = lists();
    hint({ roomId: 1, roomName: "mine", by: { userId: ANN, nickname: "Ann" } });
    hint({ roomId: 2, roomName: null, by: { userId: BEN, nickname: "Ben" } });
    // Of a service of before.
    hint({ roomId: 3 });
    await until(() => added.length > 0 && lists() > before, "both are done");
    expect(added).toEqual([{ roomId: 2, roomName: null, by: { userId: BEN, nickname: "Ben" } }]);
  });
});

describe("an open group", () => {
  async function group(members: readonly Member[]): Promise<{ service: Service; room: Room }> {
    const service = await new Service().start();
    service.answer = ({ path }) => (path.endsWith("/members") ? { body: { members } } : undefined);
    const client = await connectedTo(service);
    const room = client.open(ROOM);
    await room.ready;
    return { service, room };
  }

  test("has all members of an invitation at once", async () => {
    const { service, room } = await group([member(ANN, null), member(BEN, null)]);
    const targets = [3, 4, 5].map((userId) => ({ userId, nickname: `user ${userId}` }));
    service.answer = () => ({ status: 503 });
    tellRoom(service, message(1, { type: "SYSTEM_INVITE", target: targets[0]!, targets, unreadCount: 0 }));
    tellRoom(service, message(2));
    await until(() => room.messages.length === 2, "both are shown");
    expect(room.members?.map(({ userId }) => userId)).toEqual([1, 2, 3, 4, 5]);
    expect(room.messages.map((one) => one.state === "stored" && one.unreadCount)).toEqual([0, 4]);
    await until(() => room.membersError !== undefined, "the list can't be read");
    expect(room.membersError?.code).toBe("UNAVAILABLE");
  });

  test("does not wait for who has never been here, until they come", async () => {
    const { service, room } = await group([
      member(ANN, null),
      member(BEN, null),
      member(CEM, null, { isAwaited: true }),
    ]);
    const counts = () => room.messages.map((one) => one.state === "stored" && one.unreadCount);
    tellRoom(service, message(1));
    await until(() => room.messages.length === 1, "it is shown");
    expect(counts()).toEqual([1]);
    const move = { roomId: ROOM, userId: CEM, lastReadMessageId: 101, lastReadSeq: 1 };
    service.tell(`/sub/chat/room/${ROOM}/read`, {
      ...move,
      previousLastReadMessageId: 101,
      previousLastReadSeq: 1,
    });
    tellRoom(service, message(2, { unreadCount: 2 }));
    await until(() => room.messages.length === 2, "it is shown");
    expect(counts()).toEqual([1, 2]);
    expect(room.readersOf(102)).toMatchObject({
      readBy: [{ userId: BEN }],
      notReadBy: [{ userId: ANN }, { userId: CEM }],
    });
  });

  test("asks for its members when the service counts one whose coming nobody told", async () => {
    const { service, room } = await group([
      member(ANN, null),
      member(BEN, null),
      member(CEM, null, { isAwaited: true }),
    ]);
    const members = [member(ANN, null), member(BEN, null), member(CEM, null)];
    service.answer = ({ path }) => (path.endsWith("/members") ? { body: { members } } : undefined);
    tellRoom(service, message(1, { unreadCount: 2 }));
    await until(
      () => room.messages[0]?.state === "stored" && room.messages[0].unreadCount === 2,
      "it is counted",
    );
  });
});

describe("the first unread message", () => {
  /** A room whose every second message is the service's own. */
  const all = Array.from({ length: 400 }, (_, index) =>
    message(index + 1, index % 2 === 0 ? {} : { type: "SYSTEM_LEAVE", unreadCount: 0 }),
  );
  function pages({ path }: Asked): Answer | undefined {
    if (!path.includes("/messages")) return undefined;
    const { searchParams } = new URL(path, "http://x");
    const before = Number(searchParams.get("before") ?? Number.MAX_SAFE_INTEGER);
    const limit = Number(searchParams.get("limit"));
    return {
      body: {
        messages: all
          .filter(({ seq }) => seq < before)
          .slice(-limit)
          .reverse(),
      },
    };
  }

  test.each<[what: string, members: readonly Member[] | undefined]>([
    ["of a group, behind one's position", [member(ANN, 181), member(BEN, 500)]],
    ["by the count alone", undefined],
  ])("%s, is found though messages in between don't count", async (_, members) => {
    const service = await new Service().start();
    service.answer = (asked) => {
      if (asked.path.startsWith("/rooms?"))
        return roomsAnswer(
          summary({ type: members ? "GROUP" : "ONE_TO_ONE", unreadCount: 159, lastMessage: all.at(-1)! }),
        );
      return asked.path.endsWith("/members") ? { body: { members: members ?? [] } } : pages(asked);
    };
    const client = await connectedTo(service);
    await client.rooms();
    const room = client.open(ROOM);
    await room.ready;
    expect(room.messages.length).toBe(50);
    // So far it is only known that it is not later.
    expect(room.unreadFrom).toBeGreaterThan(83);
    expect(room.unreadFrom).toBeLessThan(351);
    await room.loadOlder(room.unreadFrom);
    expect(room.unreadFrom).toBe(83);
    expect(room.messages[0]).toMatchObject({ state: "stored" });
    expect(room.messages.some((one) => one.state === "stored" && one.seq === 83)).toBe(true);
    expect(service.asksFor(/before=/).length).toBe(3);
  });
});

test("older messages come, too, where the first one is deleted while they are loaded", async () => {
  const service = await new Service().start();
  const all = Array.from({ length: 70 }, (_, index) => message(index + 1));
  let go = (): void => {};
  const gone = new Promise<void>((resolve) => {
    go = resolve;
  });
  service.answer = async ({ method, path }) => {
    if (method === "DELETE" || !path.includes("/messages")) return undefined;
    const before = Number(/before=(\d+)/.exec(path)?.[1] ?? all.length + 1);
    if (before === 21) await gone;
    const page = all.filter(({ seq }) => seq < before && (before > 22 || seq !== 21));
    return { body: { messages: page.slice(-50).reverse() } };
  };
  const client = await connectedTo(service);
  const room = client.open(ROOM);
  await room.ready;
  expect(room.messages[0]).toMatchObject({ seq: 21 });
  const loading = room.loadOlder();
  await until(() => service.asksFor(/before=21/).length === 1, "they are asked for");
  await room.deleteForMe(message(21).messageId);
  go();
  await loading;
  const seqs = room.messages.map((one) => one.state === "stored" && one.seq);
  expect(seqs).toEqual(all.map(({ seq }) => seq).filter((seq) => seq !== 21));
  expect(service.asksFor(/before=/).map(({ path }) => /before=\d+/.exec(path)?.[0])).toEqual([
    "before=21",
    "before=22",
  ]);
});

describe("calls that make something", () => {
  test("carry a key, and keep it however often they have to be made", async () => {
    const service = await new Service().start();
    const client = clientOf(service);
    let failures = 2;
    service.answer = ({ path }) => {
      if (path !== "/group-rooms" && path !== "/rooms" && !path.endsWith("/invite")) return undefined;
      if (failures-- > 0) return { status: 503 };
      return { status: 201, body: { roomId: ROOM, invited: [BEN] } };
    };
    expect(await client.createGroup("room", [BEN])).toBe(ROOM);
    expect(await client.createGroup("room", [BEN])).toBe(ROOM);
    const keys = service.asksFor(/^\/group-rooms$/).map(({ key }) => key);
    expect(keys.length).toBe(4);
    expect(new Set(keys.slice(0, 3)).size).toBe(1);
    expect(keys[3]).not.toBe(keys[0]);
    for (const key of keys) expect(key).toMatch(/^[\x21-\x7e]{1,64}$/);
    expect(await client.openWith(BEN)).toBe(ROOM);
    expect(await client.invite(ROOM, [BEN])).toEqual([BEN]);
    expect(service.asksFor(/^\/rooms$|invite/).every(({ key }) => key !== undefined)).toBe(true);
    await client.renameGroup(ROOM, "another");
    expect(service.asked.at(-1)!.key).toBeUndefined();
  });

  test("keep the key with another token", async () => {
    const service = await new Service().start();
    let isRefused = true;
    service.answer = ({ path }) => {
      if (path !== "/group-rooms") return undefined;
      const status = isRefused ? 401 : 201;
      isRefused = false;
      return { status, body: { roomId: ROOM } };
    };
    await clientOf(service).createGroup("room", []);
    const [first, second] = service.asksFor(/group-rooms/);
    expect(first!.key).toBe(second!.key);
  });

  test("that failed after all go on where they ended when they are made again; refused ones don't", async () => {
    const service = await new Service().start();
    const client = clientOf(service, { timing: { ...QUICK, makeForMs: 500 } });
    let answer: Answer = { status: 503 };
    service.answer = ({ path }) => (path === "/group-rooms" ? answer : undefined);
    await expect(client.createGroup("room", [BEN])).rejects.toMatchObject({ code: "UNAVAILABLE" });
    const tries = service.asked.length;
    expect(tries).toBeGreaterThan(2);
    answer = { status: 400, body: { code: "INVALID_REQUEST", detail: "no", field: "roomName" } };
    await expect(client.createGroup("another", [BEN])).rejects.toMatchObject({ field: "roomName" });
    answer = { status: 201, body: { roomId: ROOM } };
    for (let count = 0; count < 2; count += 1) expect(await client.createGroup("room", [BEN])).toBe(ROOM);
    await client.createGroup("another", [BEN]);
    const keys = service.asked.map(({ key }) => key);
    const [another, again, fresh, anotherAgain] = keys.slice(tries);
    expect(new Set([...keys.slice(0, tries), again]).size).toBe(1);
    expect(new Set([keys[0], another, fresh, anotherAgain]).size).toBe(4);
  });
});

describe("a service that wants to be left alone", () => {
  test.each<[what: string, headers: () => Record<string, string>, body: object]>([
    ["in the header, by seconds", () => ({ "retry-after": "2" }), {}],
    ["in the header, by a time", () => ({ "retry-after": new Date(Date.now() + 2_000).toUTCString() }), {}],
    ["in the body", () => ({}), { code: "RATE_LIMIT_EXCEEDED", retryAfter: 2 }],
  ])("says so when negotiating, %s: it is", async (_, headers, body) => {
    const service = await new Service().start();
    let refusals = 1;
    service.answer = ({ path }) =>
      path === "/negotiate" && refusals-- > 0 ? { status: 429, headers: headers(), body } : undefined;
    const client = clientOf(service, { timing: { longestRetryAfterMs: 100 } });
    const waits: ConnectionState[] = [];
    client.on("connection", (state) => state.status === "waiting" && waits.push(state));
    await client.connect();
    // A time in a header has no milliseconds, so that a part of a second is less.
    const retryAfter = expect.toSatisfy((seconds: number) => seconds === 1 || seconds === 2);
    const error = { code: "RATE_LIMIT_EXCEEDED", retryAfter };
    expect(waits).toMatchObject([{ status: "waiting", error }]);
    expect(service.asked.length).toBe(2);
  });

  test("says so at the handshake: it is asked again and again, and connects when it lets one in", async () => {
    const service = await new Service().start();
    service.refusal = "429 Too Many Requests\r\nretry-after: 1";
    const client = clientOf(service);
    const connected = client.connect();
    await until(() => service.handshakes.length >= 4, "it has tried four times");
    service.refusal = undefined;
    await connected;
    expect(client.connection.status).toBe("connected");
  });
});

describe("a session that was ended for another one", () => {
  const closed = { type: "SESSION_CLOSED", reason: "SESSION_LIMIT", timestamp: 1 };
  const error = `ERROR\nmessage:ended\n\n${JSON.stringify({ type: "ERROR", code: "SESSION_CLOSED", message: "ended" })}\0`;

  test("does not come back by itself", async () => {
    const service = await new Service().start();
    const client = await connectedTo(service);
    service.tell("/user/queue/session", closed);
    await until(() => client.connection.status === "closed", "it is closed");
    expect(client.connection).toMatchObject({ error: { code: "SESSION_CLOSED", reason: "SESSION_LIMIT" } });
    await wait(QUIET_MS);
    expect(service.asksFor(/negotiate/).length).toBe(1);
    // Somebody wants it to, and another one has to go: but only now, not each time it comes back.
    await client.connect();
    expect(client.connection.status).toBe("connected");
    for (const socket of service.sockets) socket.terminate();
    await until(() => client.connection.status === "waiting", "it is lost");
    await client.connect();
    const takesOver = service.handshakes.map((url) => url.searchParams.get("takeOver"));
    expect(takesOver).toEqual([null, "true", null]);
  });

  test.each<[what: string, replies: (receipt: string) => readonly string[]]>([
    [
      "with both words",
      (receipt) => [
        receipt,
        `MESSAGE\nsubscription:/user/queue/session\n\n${JSON.stringify(closed)}\0`,
        error,
      ],
    ],
    ["with the ERROR alone", () => [error]],
  ])("nor when it came straight back and is told so itself, %s", async (_, replies) => {
    const service = await new Service().start();
    service.reply = ({ headers }) =>
      headers.get("destination") === "/user/queue/session"
        ? replies(`RECEIPT\nreceipt-id:${headers.get("receipt")}\n\n\0`)
        : undefined;
    const client = clientOf(service);
    // It may have been connected for a moment.
    await client.connect().catch(() => {});
    await until(() => client.connection.status === "closed", "it is closed");
    expect(client.connection).toMatchObject({ error: { code: "SESSION_CLOSED" } });
    await wait(QUIET_MS);
    expect(service.asksFor(/negotiate/).length).toBe(1);
  });
});

test("a message whose id is another one's is refused, though it was accepted, and goes out with an id of its own", async () => {
  const service = await new Service().start();
  const client = await connectedTo(service);
  const room = client.open(ROOM);
  await room.ready;
  const sent = room.send("Hello");
  await until(() => room.messages[0]?.state === "accepted", "it is accepted");
  const { clientMessageId } = room.messages[0]!;
  service.tell("/user/queue/errors", {
    type: "ERROR",
    code: "CLIENT_MESSAGE_ID_REUSED",
    message: "the id is taken",
    roomId: ROOM,
    clientMessageId,
  });
  await expect(sent).rejects.toMatchObject({ code: "CLIENT_MESSAGE_ID_REUSED" });
  expect(room.messages[0]).toMatchObject({ state: "refused", error: { code: "CLIENT_MESSAGE_ID_REUSED" } });
  room.retry(String(clientMessageId));
  await until(() => room.messages[0]?.state === "accepted", "it is accepted");
  const again = room.messages[0]!.clientMessageId;
  expect(again).not.toBe(clientMessageId);
  tellRoom(service, message(1, { senderId: ANN, content: "Hello", clientMessageId: String(again) }));
  await until(() => room.messages[0]?.state === "stored", "it is stored");
  expect(room.messages.length).toBe(1);
});
