import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeAll, beforeEach, describe, expect, inject, onTestFinished, test } from "vitest";
import WebSocket from "ws";
import { freePort } from "../../local/ports.js";
import settings from "../../local.settings.example.json" with { type: "json" };
import type { Broadcaster } from "../../shared/broadcast/broadcaster.js";
import { connectWebPubSub } from "../../shared/broadcast/webPubSub.js";
import { readConfig } from "../../shared/config.js";
import { groupName } from "../../shared/fanout/groups.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { newUsers, tokenFor, until } from "../support/client.js";

/** A client as the service sees it. */
interface Receiver {
  readonly connectionId: string;
  readonly userId: number;
  readonly received: () => readonly string[];
  readonly isClosed: () => boolean;
  leave(): void;
}

interface Setting {
  readonly broadcaster: Broadcaster;
  /** A client of this user, or of one who has no other. */
  connect(userId?: number): Promise<Receiver>;
}

function fakeSetting(): Setting {
  const broadcaster = new FakeBroadcaster();
  let connections = 0;
  return {
    broadcaster,
    async connect(userId = newUsers(1)[0]!) {
      const connectionId = `${userId}-${++connections}`;
      broadcaster.connections.add(connectionId);
      return {
        connectionId,
        userId,
        received: () => broadcaster.received.get(connectionId) ?? [],
        isClosed: () => broadcaster.closed.includes(connectionId),
        leave: () => void broadcaster.closeConnection(connectionId),
      };
    },
  };
}

const webPubSubAt = (connection: string) =>
  connectWebPubSub(readConfig({ ...settings.Values, WEB_PUBSUB_CONNECTION: connection }).webPubSub, "chat");

function realSetting(): Setting {
  const broadcaster = webPubSubAt(inject("stack").webPubSubConnection);
  return {
    broadcaster,
    async connect(userId = newUsers(1)[0]!) {
      const url = new URL(await broadcaster.clientUrl(userId, 5));
      url.searchParams.set("token", await tokenFor(userId));
      const socket = new WebSocket(url, ["v12.stomp"]);
      const received: string[] = [];
      socket.on("message", (data: Buffer) => void received.push(data.toString()));
      await new Promise<void>((resolve, reject) => {
        socket.on("open", () => resolve());
        socket.on("error", reject);
      });
      socket.send("CONNECT\naccept-version:1.2\nhost:chat\n\n\0");
      await until(() => received.length > 0, "CONNECTED");
      const connectionId = /\nsession:(.*)\n/.exec(received[0]!)?.[1];
      if (!connectionId) throw new Error(received[0]);
      return {
        connectionId,
        userId,
        received: () => received.slice(1),
        isClosed: () => socket.readyState === WebSocket.CLOSED,
        leave: () => socket.close(),
      };
    },
  };
}

let groups = 0;

describe.each<[string, () => Setting]>([
  ["the fake", fakeSetting],
  ["Web PubSub", realSetting],
])("the broadcaster of %s", (_name, open) => {
  let broadcaster: Broadcaster;
  let connect: Setting["connect"];
  let group: string;
  const opened: Receiver[] = [];

  beforeAll(() => {
    const setting = open();
    broadcaster = setting.broadcaster;
    connect = async (userId) => {
      const one = await setting.connect(userId);
      opened.push(one);
      return one;
    };
  });
  beforeEach(() => {
    group = groupName(`r${process.pid}${++groups}`, "sub-0");
  });
  afterEach(async () => {
    for (const one of opened.splice(0)) one.leave();
  });

  const receives = async (receiver: Receiver, texts: readonly string[]): Promise<void> => {
    await until(() => receiver.received().length >= texts.length, `${texts.length} messages`);
    expect(receiver.received()).toEqual(texts);
  };

  test("can be reached", async () => {
    await broadcaster.ping();
  });

  test("sends to a connection, in order", async () => {
    const receiver = await connect();
    for (const text of ["a", "비 👩‍🚀\n\0b\0", "c"])
      await broadcaster.sendToConnection(receiver.connectionId, text);
    await receives(receiver, ["a", "비 👩‍🚀\n\0b\0", "c"]);
  });

  test("sends to all of a group and to nobody else, in order", async () => {
    const [one, two, stranger] = [await connect(), await connect(), await connect()];
    await broadcaster.joinGroup(one.connectionId, group);
    await broadcaster.joinGroup(two.connectionId, group);
    const texts = Array.from({ length: 20 }, (_, index) => `message ${index}`);
    for (const text of texts) await broadcaster.sendToGroup(group, text);
    await broadcaster.sendToConnection(stranger.connectionId, "end");
    await receives(one, texts);
    await receives(two, texts);
    await receives(stranger, ["end"]);
  });

  test("sends 512 KiB in one message", async () => {
    const receiver = await connect();
    await broadcaster.joinGroup(receiver.connectionId, group);
    const text = "a".repeat(512 * 1024);
    await broadcaster.sendToGroup(group, text);
    await receives(receiver, [text]);
  });

  test("takes a send to nobody for a success", async () => {
    await broadcaster.sendToGroup(group, "a");
    await broadcaster.sendToConnection("no-such-connection", "a");
    await broadcaster.closeConnection("no-such-connection", "why");
    await broadcaster.leaveGroup("no-such-connection", group);
    const [nobody] = newUsers(1) as [number];
    await broadcaster.sendToUser(nobody, "a");
    await broadcaster.closeUserConnections(nobody, "why");
  });

  test("sends nothing any more to one that has left", async () => {
    const [one, two] = [await connect(), await connect()];
    for (const { connectionId } of [one, two]) await broadcaster.joinGroup(connectionId, group);
    await broadcaster.leaveGroup(one.connectionId, group);
    await broadcaster.sendToGroup(group, "a");
    await broadcaster.sendToConnection(one.connectionId, "end");
    await receives(two, ["a"]);
    await receives(one, ["end"]);
  });

  test("takes joining and leaving twice for once", async () => {
    const one = await connect();
    await broadcaster.joinGroup(one.connectionId, group);
    await broadcaster.joinGroup(one.connectionId, group);
    await broadcaster.sendToGroup(group, "once");
    await receives(one, ["once"]);
    await broadcaster.leaveGroup(one.connectionId, group);
    await broadcaster.leaveGroup(one.connectionId, group);
    expect(await broadcaster.groupExists(group)).toBe(false);
  });

  describe("takes a user out of a group", () => {
    test("with all their connections, and nobody else", async () => {
      const [ann, ben] = newUsers(2) as [number, number];
      const anns = [await connect(ann), await connect(ann), await connect(ann)];
      const bens = [await connect(ben), await connect(ben)];
      for (const { connectionId } of [...anns, ...bens]) await broadcaster.joinGroup(connectionId, group);
      await broadcaster.sendToGroup(group, "to both");
      await broadcaster.removeUserFromGroups(ann, [group]);
      await broadcaster.sendToGroup(group, "to Ben");
      for (const { connectionId } of anns) await broadcaster.sendToConnection(connectionId, "end");
      for (const one of anns) await receives(one, ["to both", "end"]);
      for (const one of bens) await receives(one, ["to both", "to Ben"]);
      expect(await broadcaster.groupExists(group)).toBe(true);
      await broadcaster.removeUserFromGroups(ben, [group]);
      expect(await broadcaster.groupExists(group)).toBe(false);
    });

    test("and of no other group", async () => {
      const one = await connect();
      const other = groupName(group.split(":")[0]!, "own\\cid");
      for (const name of [group, other]) await broadcaster.joinGroup(one.connectionId, name);
      await broadcaster.removeUserFromGroups(one.userId, [group]);
      await broadcaster.sendToGroup(group, "a");
      await broadcaster.sendToGroup(other, "b");
      await receives(one, ["b"]);
      await broadcaster.removeUserFromGroups(one.userId, [other]);
      expect(await broadcaster.groupExists(other)).toBe(false);
    });

    test("without closing them: who joins again receives again", async () => {
      const one = await connect();
      await broadcaster.joinGroup(one.connectionId, group);
      await broadcaster.removeUserFromGroups(one.userId, [group]);
      await broadcaster.sendToGroup(group, "missed");
      await broadcaster.joinGroup(one.connectionId, group);
      await broadcaster.sendToGroup(group, "a");
      await receives(one, ["a"]);
      expect(one.isClosed()).toBe(false);
    });

    test("and takes one who is in no group, who has no connection, or whose id only begins alike for a success", async () => {
      const [one, stranger] = [await connect(), await connect()];
      await broadcaster.joinGroup(one.connectionId, group);
      const [nobody] = newUsers(1) as [number];
      for (const userId of [stranger.userId, nobody, Math.floor(one.userId / 10), one.userId * 10])
        await broadcaster.removeUserFromGroups(userId, [group]);
      await broadcaster.removeUserFromGroups(one.userId, [`${group}-that-never-was`]);
      await broadcaster.sendToGroup(group, "a");
      await receives(one, ["a"]);
    });
  });

  test("knows whether anybody is in a group", async () => {
    const [one, two] = [await connect(), await connect()];
    expect(await broadcaster.groupExists(group)).toBe(false);
    await broadcaster.joinGroup(one.connectionId, group);
    await broadcaster.joinGroup(two.connectionId, group);
    expect(await broadcaster.groupExists(group)).toBe(true);
    await broadcaster.leaveGroup(one.connectionId, group);
    expect(await broadcaster.groupExists(group)).toBe(true);
    two.leave();
    await until(async () => !(await broadcaster.groupExists(group)), "the group is empty");
  });

  test.each(["sub-0", "/sub/chat/room/1", "a b+c%20&?#", "비", "own\\cid", "i".repeat(256), ":".repeat(256)])(
    "has groups for the subscription id %j",
    async (id) => {
      const receiver = await connect();
      const name = groupName(group.split(":")[0]!, id);
      await broadcaster.joinGroup(receiver.connectionId, name);
      expect(await broadcaster.groupExists(name)).toBe(true);
      await broadcaster.sendToGroup(name, "a");
      await receives(receiver, ["a"]);
      await broadcaster.leaveGroup(receiver.connectionId, name);
      expect(await broadcaster.groupExists(name)).toBe(false);
    },
  );

  test("closes a connection, which then is in no group", async () => {
    const receiver = await connect();
    await broadcaster.joinGroup(receiver.connectionId, group);
    await broadcaster.sendToConnection(receiver.connectionId, "last words");
    await broadcaster.closeConnection(receiver.connectionId, "why");
    await until(receiver.isClosed, "closed");
    expect(receiver.received()).toEqual(["last words"]);
    await until(async () => !(await broadcaster.groupExists(group)), "the group is empty");
  });

  test("knows whether a connection is open", async () => {
    const [one, two] = [await connect(), await connect()];
    for (const { connectionId } of [one, two])
      expect(await broadcaster.connectionExists(connectionId)).toBe(true);
    expect(await broadcaster.connectionExists("no-such-connection")).toBe(false);
    expect(await broadcaster.connectionExists("a/b ?#%20 비")).toBe(false);
    await broadcaster.closeConnection(one.connectionId, "why");
    await until(async () => !(await broadcaster.connectionExists(one.connectionId)), "it is gone");
    two.leave();
    await until(async () => !(await broadcaster.connectionExists(two.connectionId)), "it has left");
  });

  test("sends to all connections of a user and to nobody else, in order", async () => {
    const [ann, ben] = newUsers(2) as [number, number];
    const anns = [await connect(ann), await connect(ann)];
    const others = [await connect(ben), await connect(ann * 10), await connect()];
    for (const text of ["a", "비 👩‍🚀\n\0b\0", "c"]) await broadcaster.sendToUser(ann, text);
    for (const { connectionId } of others) await broadcaster.sendToConnection(connectionId, "end");
    for (const one of anns) await receives(one, ["a", "비 👩‍🚀\n\0b\0", "c"]);
    for (const one of others) await receives(one, ["end"]);
  });

  test("closes all connections of a user and nobody else's, after what was sent before", async () => {
    const [ann, ben] = newUsers(2) as [number, number];
    const anns = [await connect(ann), await connect(ann), await connect(ann)];
    const bens = await connect(ben);
    for (const { connectionId } of [...anns, bens]) await broadcaster.joinGroup(connectionId, group);
    await broadcaster.sendToUser(ann, "last words");
    await broadcaster.closeUserConnections(ann, "why");
    await until(() => anns.every((one) => one.isClosed()), "all are closed");
    for (const one of anns) expect(one.received()).toEqual(["last words"]);
    await broadcaster.sendToGroup(group, "a");
    await receives(bens, ["a"]);
    await broadcaster.closeUserConnections(ann, "again");
  });

  test("makes a URL for a user", async () => {
    const url = new URL(await broadcaster.clientUrl(7, 5));
    expect(url.protocol).toMatch(/^wss?:$/);
    expect(url.pathname).toBe("/client/hubs/chat");
    expect(url.searchParams.get("access_token")).toBeTruthy();
  });
});

test.each<[string, () => Promise<Broadcaster>]>([
  [
    "as the fake says",
    async () => {
      const fake = new FakeBroadcaster();
      fake.away = true;
      return fake;
    },
  ],
  [
    "because nobody listens",
    async () => {
      const port = await freePort();
      return webPubSubAt(`Endpoint=http://127.0.0.1:${port};AccessKey=${"k".repeat(44)};Version=1.0;`);
    },
  ],
  [
    "because it is overloaded",
    async () => {
      const server = createHttpServer((_request, response) =>
        response.writeHead(429, { connection: "close" }).end(),
      );
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
      const { port } = server.address() as AddressInfo;
      return webPubSubAt(`Endpoint=http://127.0.0.1:${port};AccessKey=${"k".repeat(44)};Version=1.0;`);
    },
  ],
])("a service that is away says UNAVAILABLE to everything, %s", async (_why, open) => {
  const broadcaster = await open();
  for (const ask of [
    () => broadcaster.sendToGroup("g", "a"),
    () => broadcaster.sendToConnection("c", "a"),
    () => broadcaster.closeConnection("c", "why"),
    () => broadcaster.connectionExists("c"),
    () => broadcaster.sendToUser(1, "a"),
    () => broadcaster.closeUserConnections(1, "why"),
    () => broadcaster.joinGroup("c", "g"),
    () => broadcaster.leaveGroup("c", "g"),
    () => broadcaster.removeUserFromGroups(1, ["g"]),
    () => broadcaster.groupExists("g"),
    () => broadcaster.ping(),
  ])
    await expect(ask()).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("a key that the service doesn't take is told, and asks nobody to try again", async () => {
  const told: string[] = [];
  const wrong = inject("stack").webPubSubConnection.replace(/AccessKey=[^;]+/, "AccessKey=bm90IHRoZSBrZXk=");
  const { webPubSub } = readConfig({ ...settings.Values, WEB_PUBSUB_CONNECTION: wrong });
  const broadcaster = connectWebPubSub(webPubSub, "chat", ({ what }) => told.push(what));
  for (const ask of [
    () => broadcaster.sendToGroup("group", "text"),
    () => broadcaster.sendToConnection("nobody", "text"),
    () => broadcaster.groupExists("group"),
  ]) {
    const failure = await ask().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "UNAVAILABLE", details: { toBeMended: true } });
    expect(String(failure)).not.toMatch(/again/);
  }
  expect(told.map((what) => what.slice(0, 4))).toEqual(["401:", "401:", "401:"]);
});
