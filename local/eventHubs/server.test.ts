import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { connect as connectSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConfigError } from "./hubs.js";
import { LockedError } from "./lock.js";
import { type Server, start } from "./server.js";

// A bare AMQP client, for what the SDK never does: single events without a batch, repeats, and things it
// would not send. rhea's types leave out the events' payloads, hence `any`.
const rhea = createRequire(import.meta.url)("rhea");
// biome-ignore lint/suspicious/noExplicitAny: see above
type Loose = any;

const hubs = { h: { partitions: 2, retentionHours: 1, consumerGroups: [] } };
let data: string;
let server: Server;
let connection: Loose;

beforeEach(async () => {
  data = mkdtempSync(join(tmpdir(), "event-hubs-server-"));
  server = await start({ port: 0, data, hubs });
  connection = rhea
    .create_container()
    .connect({ port: server.port, host: "127.0.0.1", reconnect: false, username: "x" });
  connection.on("disconnected", () => {});
});
afterEach(async () => {
  connection.close();
  await server.close();
  rmSync(data, { recursive: true, force: true });
});

const event = (emitter: Loose, name: string): Promise<Loose> =>
  once(emitter, name).then(([context]) => context);

function token(key: string, seconds: number): string {
  const se = String(Math.floor(Date.now() / 1000) + seconds);
  const sr = encodeURIComponent("sb://localhost/h");
  const sig = createHmac("sha256", key).update(`${sr}\n${se}`).digest("base64");
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${se}&skn=RootManageSharedAccessKey`;
}

async function putToken(body: string, audience = "sb://localhost/h"): Promise<number> {
  const replies = connection.open_receiver({ source: "$cbs", target: "reply", name: `cbs-${Math.random()}` });
  const requests = connection.open_sender({ target: "$cbs" });
  await event(requests, "sendable");
  const reply = event(replies, "message");
  requests.send({
    message_id: "1",
    reply_to: replies.name,
    application_properties: {
      operation: "put-token",
      type: "servicebus.windows.net:sastoken",
      name: audience,
    },
    body,
  });
  const { message } = await reply;
  replies.close();
  requests.close();
  return message.application_properties["status-code"];
}

/** Sends and resolves with "accepted", or the condition of the rejection. */
async function send(link: Loose, message: object): Promise<string> {
  link.send(message);
  return new Promise((resolve) => {
    link.once("accepted", () => resolve("accepted"));
    link.once("rejected", ({ delivery }: Loose) => resolve(delivery.remote_state.error.condition));
  });
}

async function read(count: number): Promise<Loose[]> {
  const link = connection.open_receiver({
    source: "h/ConsumerGroups/$Default/Partitions/0",
    credit_window: 0,
  });
  link.add_credit(count);
  const found: Loose[] = [];
  await new Promise<void>((resolve) => {
    link.on("message", ({ message }: Loose) => {
      if (found.push(message) === count) resolve();
    });
  });
  link.close();
  return found;
}

describe("the server", () => {
  test("takes single events of message format 0, and hands them on as they are", async () => {
    expect(await putToken(token("SAS_KEY_VALUE", 60))).toBe(202);
    const link = connection.open_sender({ target: "h/Partitions/0" });
    await event(link, "sendable");
    const message = {
      message_annotations: { "x-opt-partition-key": "k", theirs: 1 },
      subject: "s",
      body: "text",
    };
    expect(await send(link, message)).toBe("accepted");
    const [received] = await read(1);
    expect(received).toMatchObject({ subject: "s", body: "text" });
    expect(received.message_annotations).toMatchObject({
      theirs: 1,
      "x-opt-partition-key": "k",
      "x-opt-offset": "0",
    });
  });

  test("stores what an idempotent producer repeats once, refuses a gap, and knows the numbers after a restart", async () => {
    expect(await putToken(token("SAS_KEY_VALUE", 60))).toBe(202);
    const open = () =>
      connection.open_sender({
        target: "h/Partitions/0",
        desired_capabilities: [rhea.types.wrap_symbol("com.microsoft:idempotent-producer")],
        properties: {
          "com.microsoft:producer-id": rhea.types.wrap_long(5),
          "com.microsoft:producer-epoch": rhea.types.wrap_short(1),
        },
      });
    const numbered = (number: number) => ({
      message_annotations: { "com.microsoft:producer-sequence-number": rhea.types.wrap_int(number) },
      body: `number ${number}`,
    });
    const link = open();
    await event(link, "sendable");
    const answers = [];
    for (const number of [0, 1, 1, 0, 7, 2]) answers.push(await send(link, numbered(number)));
    const gap = "com.microsoft:out-of-order-sequence";
    expect(answers).toEqual(["accepted", "accepted", "accepted", "accepted", gap, "accepted"]);
    expect((await read(3)).map((each) => each.body)).toEqual(["number 0", "number 1", "number 2"]);
    connection.close();
    await server.close();
    server = await start({ port: 0, data, hubs });
    connection = rhea
      .create_container()
      .connect({ port: server.port, host: "127.0.0.1", reconnect: false, username: "x" });
    await putToken(token("SAS_KEY_VALUE", 60));
    const again = open();
    await event(again, "sendable");
    expect(again.properties["com.microsoft:producer-sequence-number"]).toBe(2);
    expect(await send(again, numbered(2))).toBe("accepted");
    expect(await send(again, numbered(3))).toBe("accepted");
    expect((await read(4)).at(-1).body).toBe("number 3");
  });

  test("detaches a producer's link when a newer epoch of it attaches, and refuses the older one from then on", async () => {
    expect(await putToken(token("SAS_KEY_VALUE", 60))).toBe(202);
    const open = (epoch: number) =>
      connection.open_sender({
        target: "h/Partitions/0",
        desired_capabilities: [rhea.types.wrap_symbol("com.microsoft:idempotent-producer")],
        properties: {
          "com.microsoft:producer-id": rhea.types.wrap_long(6),
          "com.microsoft:producer-epoch": rhea.types.wrap_short(epoch),
        },
      });
    const stolen = "com.microsoft:producer-epoch-stolen";
    const older = open(1);
    await event(older, "sendable");
    const told = event(older, "sender_error");
    await event(open(2), "sendable");
    expect((await told).sender.error.condition).toBe(stolen);
    expect((await event(open(1), "sender_error")).sender.error.condition).toBe(stolen);
  });

  test.each([
    ["a wrong key", token("wrong", 60)],
    ["an expired token", token("SAS_KEY_VALUE", -5)],
    ["no token at all", "hello"],
    ["half a token", "SharedAccessSignature sr=%zz&sig=&se=9999999999&skn=RootManageSharedAccessKey"],
  ])("answers 401 to %s", async (_name, body) => {
    expect(await putToken(body)).toBe(401);
  });

  test("refuses to send and to read without a claim", async () => {
    const { sender } = await event(connection.open_sender({ target: "h" }), "sender_error");
    expect(sender.error.condition).toBe("amqp:unauthorized-access");
    const source = "h/ConsumerGroups/$Default/Partitions/0";
    const { receiver } = await event(connection.open_receiver({ source }), "receiver_error");
    expect(receiver.error.condition).toBe("amqp:unauthorized-access");
  });

  test("detaches a link whose token has run out", async () => {
    await putToken(token("SAS_KEY_VALUE", 2));
    const link = connection.open_sender({ target: "h" });
    const { sender } = await event(link, "sender_error");
    expect(sender.error.condition).toBe("amqp:unauthorized-access");
  });

  test("refuses a sixth reader without an epoch", async () => {
    await putToken(token("SAS_KEY_VALUE", 60));
    const source = "h/ConsumerGroups/$Default/Partitions/0";
    for (let index = 0; index < 5; index += 1)
      await event(connection.open_receiver({ source }), "receiver_open");
    const { receiver } = await event(connection.open_receiver({ source }), "receiver_error");
    expect(receiver.error.condition).toBe("amqp:resource-limit-exceeded");
  });

  test.each([
    ["no AMQP at all", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
    [
      "a frame of 2 GiB",
      Buffer.concat([Buffer.from("AMQP\0\x01\0\0"), Buffer.from("7fffffff02000000", "hex")]),
    ],
    ["broken frames", Buffer.concat([Buffer.from("AMQP\0\x01\0\0"), Buffer.alloc(64, 0x0a)])],
  ])("drops a client that sends %s, and serves the others", async (_name, bytes) => {
    const socket = connectSocket(server.port, "127.0.0.1");
    socket.on("error", () => {});
    const gone = once(socket, "close");
    socket.write(bytes);
    socket.resume();
    await gone;
    expect(await putToken(token("SAS_KEY_VALUE", 60))).toBe(202);
  });

  test("counts for the retention only the time that it runs, and says what it deletes", async () => {
    await putToken(token("SAS_KEY_VALUE", 60));
    const link = connection.open_sender({ target: "h/Partitions/0" });
    await event(link, "sendable");
    expect(await send(link, { body: "unread" })).toBe("accepted");
    connection.close();
    await server.close();
    const brief = { h: { ...hubs.h, retentionHours: 3 / 3600 } };
    await setTimeout(3200);
    const logged: string[] = [];
    const log = (_level: string, text: string) => logged.push(text);
    server = await start({ port: 0, data, hubs: brief, retentionCheckMs: 50, log });
    expect(logged).toEqual([]);
    await expect.poll(() => logged, { timeout: 20_000 }).toHaveLength(1);
    expect(logged[0]).toContain("deleted with its events 0 to 0, the newest of ");
  });

  test("keeps a second server off its folder, and another number of partitions off its data", async () => {
    await expect(start({ port: 0, data, hubs })).rejects.toThrow(LockedError);
    await server.close();
    const fewer = { h: { ...hubs.h, partitions: 1 } };
    await expect(start({ port: 0, data, hubs: fewer })).rejects.toThrow(ConfigError);
  });
});
