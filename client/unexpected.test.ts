import { describe, expect, test } from "vitest";
import {
  ANN,
  type Answer,
  ended,
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
import { Connection } from "./connection.js";
import type { ChatError } from "./errors.js";
import { Http } from "./http.js";
import { Link } from "./link.js";
import { memoryOutbox } from "./outbox.js";
import { Reads } from "./reads.js";
import { DEFAULT_TIMING, timingOf } from "./timing.js";
import { Tokens } from "./tokens.js";
import type { OutboxEntry } from "./types.js";

/**
 * What is no refusal and no lost connection is a bug: it is told, and tried again a few times at the most.
 */
const QUICK = { firstPauseMs: 10, longestPauseMs: 20, membersAfterMs: 10, refreshAfterMs: 10 };
/** Time for more tries than there may be. */
const QUIET_MS = 300;
const BUG = expect.objectContaining({ code: "UNEXPECTED", cause: expect.any(TypeError) });

interface Started {
  readonly service: Service;
  readonly client: ChatClient;
  readonly errors: ChatError[];
}

async function start(options: Partial<ChatClientOptions> = {}): Promise<Started> {
  const service = await new Service().start();
  const client = new ChatClient({ url: service.url, token: () => tokenOf(ANN), timing: QUICK, ...options });
  const errors: ChatError[] = [];
  client.on("error", (error) => errors.push(error));
  ended.unshift(() => client.disconnect());
  return { service, client, errors };
}

async function connected(options: Partial<ChatClientOptions> = {}): Promise<Started> {
  const started = await start(options);
  await started.client.connect();
  return started;
}

/** Has each call to such a path answered with this. */
function spoil(service: Service, path: RegExp, body: object): void {
  service.answer = (asked): Answer | undefined => (path.test(asked.path) ? { body } : undefined);
}

test("connecting is tried three times, then the connection is closed and connect() rejects", async () => {
  const { service, client, errors } = await start();
  spoil(service, /negotiate/, { url: {} });
  await expect(client.connect()).rejects.toEqual(BUG);
  expect(client.connection).toMatchObject({ status: "closed", error: { code: "UNEXPECTED" } });
  await wait(QUIET_MS);
  expect(service.asksFor(/negotiate/).length).toBe(3);
  expect(errors).toEqual([BUG, BUG, BUG]);
  service.answer = () => undefined;
  await client.connect();
  expect(client.connection.status).toBe("connected");
});

describe("an open room", () => {
  test("is gone when its first page can't be read, and can be opened again", async () => {
    const { service, client, errors } = await connected();
    spoil(service, /messages/, { messages: {} });
    const room = client.open(ROOM);
    await expect(room.ready).rejects.toEqual(BUG);
    expect([room.status, room.error?.code]).toEqual(["gone", "UNEXPECTED"]);
    await wait(QUIET_MS);
    expect(service.asksFor(/messages/).length).toBe(3);
    expect(errors).toEqual([BUG, BUG, BUG]);
    service.answer = () => undefined;
    await client.open(ROOM).ready;
  });

  test("stays as it is when a gap can't be filled, and fills it with the next connection", async () => {
    const { service, client, errors } = await connected();
    const room = client.open(ROOM);
    await room.ready;
    tellRoom(service, message(1));
    await until(() => room.messages.length === 1, "it is shown");
    const before = service.asksFor(/after=/).length;
    spoil(service, /messages/, { messages: [null] });
    tellRoom(service, message(3));
    await until(() => errors.length === 3, "it was tried three times");
    await wait(QUIET_MS);
    expect(errors).toEqual([BUG, BUG, BUG]);
    expect(service.asksFor(/after=/).length - before).toBe(3);
    expect([room.status, room.messages.length]).toEqual(["ready", 1]);
    service.answer = ({ path }) => {
      if (path.includes("after=")) return { body: { messages: [message(2), message(3)] } };
      return path.includes("/messages") ? { body: { messages: [message(3), message(2)] } } : undefined;
    };
    for (const socket of service.sockets) socket.terminate();
    await until(() => room.messages.length === 3, "all are shown");
  });

  test("shows its messages when the members of a group can't be read", async () => {
    const { service, client, errors } = await connected();
    service.answer = ({ path }) => {
      if (path.startsWith("/rooms?")) return roomsAnswer(summary());
      return path.endsWith("/members") ? { body: { members: [null] } } : undefined;
    };
    await client.rooms();
    const room = client.open(ROOM);
    await room.ready;
    await until(() => errors.length === 3, "it was tried three times");
    await wait(QUIET_MS);
    expect(errors).toEqual([BUG, BUG, BUG]);
    expect(room.membersError).toEqual(BUG);
    await expect(room.reloadMembers()).rejects.toEqual(BUG);
    spoil(service, /members$/, { members: [member(ANN, null)] });
    expect(await room.reloadMembers()).toMatchObject([{ userId: ANN }]);
    expect(room.membersError).toBeUndefined();
  });

  test("rejects the call for older messages, once", async () => {
    const { service, client, errors } = await connected();
    const page = Array.from({ length: 50 }, (_, index) => message(100 - index));
    spoil(service, /messages/, { messages: page });
    const room = client.open(ROOM);
    await room.ready;
    spoil(service, /messages/, { messages: 7 });
    await expect(room.loadOlder()).rejects.toEqual(BUG);
    expect([service.asksFor(/before=/).length, errors.length]).toEqual([1, 0]);
    expect(room.messages.length).toBe(50);
  });
});

test("a list of rooms that can't be read rejects the call, and is not asked for again by itself", async () => {
  const { service, client, errors } = await connected();
  spoil(service, /^\/rooms\?/, { rooms: 7 });
  await expect(client.rooms()).rejects.toEqual(BUG);
  await until(() => errors.length > 0, "its refresh is told");
  const told = errors.length;
  service.answer = () => roomsAnswer(summary());
  await client.rooms();
  spoil(service, /^\/rooms\?/, { rooms: 7 });
  service.tell("/user/queue/rooms", { type: "ROOM_ADDED", roomId: 99, timestamp: 1 });
  await until(() => errors.length > told, "it is told");
  await wait(QUIET_MS);
  expect(errors.length).toBe(told + 1);
  expect(client.roomList?.length).toBe(1);
});

test("an answer that lacks what was asked for rejects the call that makes something, once", async () => {
  const { service, client } = await connected();
  spoil(service, /group-rooms/, { room: "new" });
  await expect(client.createGroup("room", [])).rejects.toMatchObject({ code: "UNEXPECTED" });
  expect(service.asksFor(/group-rooms/).length).toBe(1);
});

test("a frame that can't be read is told, and the next one is heard", async () => {
  const { service, client, errors } = await connected();
  const room = client.open(ROOM);
  await room.ready;
  const destination = `/sub/chat/room/${ROOM}`;
  service.say(`MESSAGE\nsubscription:${destination}\ndestination:${destination}\n\nnull\0`);
  tellRoom(service, message(1));
  await until(() => room.messages.length === 1, "the next one is shown");
  expect(errors.length).toBeGreaterThan(0);
  for (const error of errors) expect(error).toEqual(BUG);
  expect(client.connection.status).toBe("connected");
});

test("a frame that can't be written is no lost connection", async () => {
  const service = await new Service().start();
  const link = new Link(service.url.replace("http", "ws"), {
    timing: DEFAULT_TIMING,
    subscribeHeaders: () => {
      throw new TypeError("a bug");
    },
    onMessage: () => {},
  });
  await link.open();
  await expect(link.join("/sub/chat/room/7")).rejects.toEqual(BUG);
  // The connection goes on.
  await link.send("/pub/chat/read", { roomId: ROOM, messageId: 1 });
  await link.probe();
  expect(service.frames.map(({ command }) => command)).toEqual(["SEND", "UNSUBSCRIBE"]);
  expect(service.sockets.size).toBe(1);
});

test("a token is not renewed again on the same connection", async () => {
  const service = await new Service().start();
  const timing = timingOf({ ...QUICK, leastTokenMs: 0, soonestRenewalMs: 10, renewAgainMs: 10 });
  let renewals = 0;
  class Faulty extends Tokens {
    override renew() {
      if (!this.current) return super.renew();
      renewals += 1;
      return Promise.reject(new TypeError("a bug"));
    }
  }
  const payload = { sub: String(ANN), exp: Math.floor(Date.now() / 1_000) + 2 };
  const token = `x.${Buffer.from(JSON.stringify(payload)).toString("base64url")}.x`;
  const tokens = new Faulty(() => token, timing);
  const errors: ChatError[] = [];
  const connection = new Connection({
    http: new Http(service.url, tokens, timing),
    ...{ tokens, timing, deviceId: undefined },
    onMessage: () => {},
    onState: () => {},
    onError: (error) => errors.push(error),
  });
  ended.unshift(() => connection.stop());
  connection.start();
  await until(() => errors.length > 0, "it is told");
  await wait(QUIET_MS);
  expect([renewals, connection.state.status]).toEqual([1, "connected"]);
  expect(errors).toEqual([BUG]);
});

test("a read is kept until the next connection", async () => {
  const sent: object[] = [];
  const errors: ChatError[] = [];
  let isFaulty = true;
  const reads = new Reads({
    timing: { ...DEFAULT_TIMING, readEveryMs: 5 },
    send: async (_, body) => {
      sent.push(body);
      if (isFaulty) throw new TypeError("a bug");
    },
    onError: (error) => errors.push(error),
  });
  reads.mark(ROOM, 101);
  await wait(QUIET_MS);
  expect([sent.length, errors.length]).toEqual([1, 1]);
  expect(errors).toEqual([BUG]);
  isFaulty = false;
  await reads.flush();
  await reads.flush();
  const read = { roomId: ROOM, messageId: 101 };
  expect(sent).toEqual([read, read]);
});

test("an outbox whose entries break the client keeps nothing else from being sent", async () => {
  const outbox = memoryOutbox();
  let loads = 0;
  const load = async (): Promise<OutboxEntry[]> => {
    loads += 1;
    const entry = {
      userId: ANN,
      roomId: ROOM,
      clientMessageId: "kept",
      type: "TEXT",
      content: "kept",
    } as const;
    return [
      {
        ...entry,
        createdAt: "2026-01-02T03:04:05.678Z",
        state: "sending",
        get replaces(): string {
          throw new TypeError("a bug");
        },
      },
    ];
  };
  const { service, client, errors } = await connected({ outbox: { ...outbox, load } });
  await until(() => loads === 3, "it was tried three times");
  await wait(QUIET_MS);
  expect(loads).toBe(3);
  expect(errors).toEqual([BUG, BUG, BUG]);
  const room = client.open(ROOM);
  await room.ready;
  room.send("new").catch(() => {});
  await until(() => service.frames.some(({ body }) => body.includes('"new"')), "the new one is sent");
});
