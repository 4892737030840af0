import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { EventHubConsumerClient } from "@azure/event-hubs";
import type { RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { start as startEventHubs } from "../../local/eventHubs/server.js";
import type { Level } from "../../local/functionsHost/log.js";
import type { InvocationRequest, TypedData } from "../../local/functionsHost/rpc.js";
import { Worker } from "../../local/functionsHost/worker.js";
import hubs from "../../local/hubs.json" with { type: "json" };
import settings from "../../local.settings.example.json" with { type: "json" };
import { connectEventHubs } from "../../shared/bus/eventHubs.js";
import type { Database } from "../../shared/store/database.js";
import { tokenFor } from "../support/client.js";
import { newDatabase } from "../support/database.js";
import { signatureOf } from "../support/signature.js";

// The app, called with what the Functions host of Azure hands to it, where that differs from what one would
// expect: through the library itself, with a database and hubs of its own.

const MESSAGES = "chat-messages";
const READS = "chat-read-events";
const folder = mkdtempSync(join(tmpdir(), "host-shapes-"));
const said: [level: Level, line: string][] = [];
const open: (() => Promise<unknown>)[] = [];
let worker: Worker;
let database: Database;
let bus: ReturnType<typeof connectEventHubs>;
let connectionString: string;

beforeAll(async () => {
  const store = await newDatabase();
  open.unshift(store.close);
  ({ database } = store);
  const server = await startEventHubs({ port: 0, data: folder, hubs: hubs.hubs });
  open.unshift(server.close);
  ({ connectionString } = server);
  bus = connectEventHubs(connectionString);
  open.unshift(() => bus.close());
  const { redis, webPubSubConnection } = inject("stack");
  Object.assign(process.env, settings.Values, {
    MYSQL_URL: store.url,
    REDIS_URL: redis,
    EVENT_HUBS_CONNECTION: connectionString,
    WEB_PUBSUB_CONNECTION: webPubSubConnection,
  });
  const functions = resolve("functions");
  const files = readdirSync(functions).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  worker = await Worker.load({
    app: resolve("."),
    files: files.sort().map((name) => join(functions, name)),
    log: { enabled: () => true, write: (level, line) => void said.push([level, line]) },
    functionTimeout: undefined,
    onTimeout: () => {},
  });
  open.unshift(() => worker.terminate(5_000));
});
afterAll(async () => {
  for (const close of open) await close();
  rmSync(folder, { recursive: true, force: true });
});

function invoke(name: string, data: TypedData, more: Partial<InvocationRequest> = {}) {
  const fn = worker.functions.get(name);
  if (!fn) throw new Error(`no function ${name}`);
  const [binding] = Object.entries(fn.metadata.bindings).find(([, { type }]) => type.endsWith("Trigger"))!;
  return worker.invoke(fn, {
    invocationId: crypto.randomUUID(),
    functionId: fn.id,
    inputData: [{ name: binding, data }],
    triggerMetadata: {},
    // Without Application Insights both are there, and empty.
    traceContext: traced(""),
    ...more,
  });
}

const traced = (traceParent: string): InvocationRequest["traceContext"] => ({
  traceParent,
  traceState: "",
  attributes: {},
});

interface HttpCall {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly params?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const nullable = (values: Readonly<Record<string, string>> = {}) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value }]));

/**
 * What a function answers to a request as the host describes it, whose body is what has reached the function.
 */
async function call(name: string, { method = "POST", path, headers, query, params, body }: HttpCall) {
  const { returnValue } = await invoke(name, {
    http: {
      method,
      url: `https://chat.example/api/v1/chat${path}`,
      nullableHeaders: nullable(headers),
      nullableQuery: nullable(query),
      nullableParams: nullable(params),
      body: body === undefined ? null : { bytes: Buffer.from(body) },
    },
  });
  const { statusCode, body: answer } = returnValue?.http ?? {};
  const text = answer?.bytes ? Buffer.from(answer.bytes).toString() : (answer?.string ?? "");
  return { status: Number(statusCode ?? 204), body: text.startsWith("{") ? JSON.parse(text) : text };
}

let users = 200;
/** A user who has been here, with the header that says so. */
async function newUser(): Promise<{ userId: number; authorization: string }> {
  const userId = ++users;
  return { userId, authorization: `Bearer ${await tokenFor(userId)}` };
}

async function newRoom(...userIds: readonly number[]): Promise<number> {
  const authorization = `Bearer ${await tokenFor(userIds[0]!)}`;
  const body = JSON.stringify({ roomName: "room", userIds: userIds.slice(1) });
  const headers = { authorization, "content-length": String(body.length) };
  const made = await call("createGroupRoom", { path: "/group-rooms", headers, body });
  expect(made.status).toBe(201);
  return made.body.roomId;
}

describe("a body that was sent in chunks does not arrive", () => {
  test("and its call is refused, whatever it would mean without one", async () => {
    const { authorization } = await newUser();
    const headers = { authorization, "transfer-encoding": "chunked", "content-type": "application/json" };
    for (const [name, path, params] of [
      ["logOut", "/sessions/logout"],
      ["openDirectRoom", "/rooms"],
      ["createGroupRoom", "/group-rooms"],
      ["inviteMembers", "/group-rooms/1/invite", { roomId: "1" }],
      ["negotiate", "/negotiate"],
    ] as const) {
      expect(await call(name, { path, headers, ...(params && { params }) })).toMatchObject({
        status: 400,
        body: {
          code: "INVALID_REQUEST",
          field: "body",
          detail: "body: was announced and did not arrive whole; send it in one piece, with Content-Length",
        },
      });
    }
  });

  test("nor one that has a length, when not all of it has come", async () => {
    const { authorization } = await newUser();
    const headers = { authorization, "content-length": "18" };
    for (const body of [undefined, "{}", '{"deviceId":"abcd"}'])
      expect(
        await call("logOut", { path: "/sessions/logout", headers, ...(body && { body }) }),
      ).toMatchObject({ status: 400, body: { code: "INVALID_REQUEST", field: "body" } });
  });

  test("where it does arrive, or there is none, the call is as any other", async () => {
    const { userId, authorization } = await newUser();
    const chunked = { authorization, "transfer-encoding": "chunked" };
    const body = '{"deviceId":"abc"}';
    expect(await call("logOut", { path: "/sessions/logout", headers: chunked, body })).toEqual({
      status: 200,
      body: { userId, deviceId: "abc" },
    });
    const headers = { authorization, "content-length": "0" };
    expect(await call("logOut", { path: "/sessions/logout", headers })).toEqual({
      status: 200,
      body: { userId, deviceId: null },
    });
  });

  test("a client's frame is not taken for a heart-beat, and that is said of the service's own calls", async () => {
    const event = { "transfer-encoding": "chunked", "ce-id": "1", "ce-type": "azure.webpubsub.user.message" };
    const send = (headers: Readonly<Record<string, string>>) =>
      call("clientEvent", { path: "/upstream/message", headers, params: { event: "message" } });
    const errors = () => said.filter(([level]) => level === "error");
    said.length = 0;
    expect((await send(event)).status).toBe(401);
    expect(errors()).toEqual([]);
    const proved = { ...event, "ce-connectionid": "connection", "ce-signature": signatureOf("connection") };
    expect(await send(proved)).toMatchObject({ status: 400, body: { code: "INVALID_REQUEST" } });
    expect(errors()).toHaveLength(1);
  });
});

describe("the trace of a call", () => {
  const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const SPAN = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

  /** The trace that a read's event has on the bus, when it was called with these. */
  async function traceOf(traceParent: string, traceparent?: string) {
    const { userId, authorization } = await newUser();
    const roomId = await newRoom(userId);
    const consumer = new EventHubConsumerClient("chat-recover", connectionString, READS);
    const found: unknown[] = [];
    const subscription = consumer.subscribe(
      {
        async processEvents(events) {
          for (const { body, properties } of events)
            if (body.userId === userId) found.push(properties?.["traceparent"]);
        },
        async processError() {},
      },
      { startPosition: { offset: "-1" }, maxWaitTimeInSeconds: 1 },
    );
    try {
      const headers = { authorization, ...(traceparent === undefined ? {} : { traceparent }) };
      const data = {
        http: {
          method: "PATCH",
          url: `https://chat.example/api/v1/chat/rooms/${roomId}/read?messageId=1`,
          nullableHeaders: nullable(headers),
          nullableQuery: nullable({ messageId: "1" }),
          nullableParams: nullable({ roomId: String(roomId) }),
          body: null,
        },
      };
      expect(
        (await invoke("readRoom", data, { traceContext: traced(traceParent) })).returnValue?.http?.statusCode,
      ).toBe("202");
      await expect.poll(() => found.length).toBe(1);
      return found[0];
    } finally {
      await subscription.close();
      await consumer.close();
    }
  }

  test.each<[string, string, string | undefined, string | undefined]>([
    ["is nothing, where the host has none, and says it with an empty text", "", undefined, undefined],
    ["is the request's, where the host has none", "", TRACE, TRACE],
    ["is the host's own span, where it has one", SPAN, TRACE, SPAN],
    ["is nothing, where the request's is none", "", "garbage", undefined],
  ])("%s", async (_what, span, header, expected) => {
    expect(await traceOf(span, header)).toBe(expected);
  });
});

describe("what came twice", () => {
  test.each(["Bearer a.b.c,Bearer a.b.c", "Bearer a.b.c, Bearer a.b.c", "Bearer a.b.c,Basic dTpw"])(
    "two Authorization headers are refused, and said to be two: %s",
    async (authorization) => {
      expect(await call("negotiate", { path: "/negotiate", headers: { authorization } })).toMatchObject({
        status: 401,
        body: {
          code: "UNAUTHORIZED",
          detail: "Authorization was sent more than once; send one, Bearer and a token.",
        },
      });
    },
  );

  test("a query's names are those that were written, whatever the host merges", async () => {
    const { userId, authorization } = await newUser();
    await newRoom(userId);
    await newRoom(userId);
    const listed = (search: string, query: Readonly<Record<string, string>>) =>
      call("listRooms", { method: "GET", path: `/rooms${search}`, headers: { authorization }, query });
    expect((await listed("?limit=1&LIMIT=2", { LIMIT: "1,2" })).body.rooms).toHaveLength(1);
    expect((await listed("?LIMIT=1", { LIMIT: "1" })).body.rooms).toHaveLength(2);
    expect((await listed("?limit=1&limit=2", { limit: "1,2" })).status).toBe(400);
    expect((await listed("", {})).body.rooms).toHaveLength(2);
  });
});

describe("a batch of events", () => {
  /** Publishes a message and returns where it stands. */
  async function publish(roomId: number, senderId: number, content: string) {
    await bus.publish(MESSAGES, String(roomId), {
      v: 1,
      eventId: crypto.randomUUID().slice(0, 20),
      roomId,
      senderId,
      senderNickname: "Ann",
      clientMessageId: null,
      type: "TEXT",
      content,
      sentAt: "2026-02-02T03:04:05.678Z",
    });
    for (const partitionId of await bus.partitionIds(MESSAGES)) {
      const first = await bus.firstSequenceNumber(MESSAGES, partitionId);
      const events = await bus.readRange(MESSAGES, partitionId, first, Number.MAX_SAFE_INTEGER, 1_000);
      const event = events.find(({ body }) => JSON.parse(String(body)).content === content);
      if (event) return { partitionId, ...event };
    }
    throw new Error("the event is not there");
  }

  const metadataOf = (partitionId: string, sequenceNumbers: TypedData, properties: unknown) => ({
    PartitionContext: { json: JSON.stringify({ EventHubName: MESSAGES, PartitionId: partitionId }) },
    SequenceNumberArray: sequenceNumbers,
    SystemPropertiesArray: { json: JSON.stringify(properties) },
  });
  const long = (value: number) => ({ low: value | 0, high: Math.floor(value / 2 ** 32), unsigned: false });
  const contents = async (roomId: number): Promise<string[]> => {
    const [rows] = await database.query<RowDataPacket[]>(
      "SELECT content FROM messages WHERE room_id = ? AND type = 'TEXT' ORDER BY seq",
      [roomId],
    );
    return rows.map(({ content }) => content);
  };

  test("is stored, once, when its sequence numbers arrive as the halves of a Long", async () => {
    const { userId } = await newUser();
    const roomId = await newRoom(userId);
    const { partitionId, sequenceNumber, body } = await publish(roomId, userId, "by halves");
    const numbers = { collectionSint64: { sint64: [long(sequenceNumber)] } } as unknown as TypedData;
    const batch: TypedData = { collectionBytes: { bytes: [body] } };
    for (let times = 0; times < 2; times += 1)
      await invoke("chatMessages", batch, { triggerMetadata: metadataOf(partitionId, numbers, [{}]) });
    expect(await contents(roomId)).toEqual(["by halves"]);
  });

  test("whose numbers can't be read is told, read from the hub, and stored once and in order", async () => {
    const { userId } = await newUser();
    const roomId = await newRoom(userId);
    const first = await publish(roomId, userId, "before");
    const second = await publish(roomId, userId, "in the middle");
    said.length = 0;
    const unreadable = { collectionSint64: { sint64: [{ hi: 0, lo: 1 }] } } as unknown as TypedData;
    await invoke(
      "chatMessages",
      { collectionBytes: { bytes: [second.body] } },
      { triggerMetadata: metadataOf(second.partitionId, unreadable, [{}]) },
    );
    expect(await contents(roomId)).toEqual(["before", "in the middle"]);
    const errors = said.filter(([level]) => level === "error");
    expect(errors).toHaveLength(1);
    expect(errors[0]![1]).toContain("[chatMessages]");
    expect(errors[0]![1]).toContain("can't be read");
    // What comes again afterwards, readable, was stored before.
    const numbers = { collectionSint64: { sint64: [first.sequenceNumber, second.sequenceNumber] } };
    await invoke(
      "chatMessages",
      { collectionBytes: { bytes: [first.body, second.body] } },
      { triggerMetadata: metadataOf(first.partitionId, numbers, [{}, {}]) },
    );
    expect(await contents(roomId)).toEqual(["before", "in the middle"]);
  });

  test("without any metadata is found in whichever partition it stands", async () => {
    const { userId } = await newUser();
    const rooms = [await newRoom(userId), await newRoom(userId), await newRoom(userId)];
    for (const roomId of rooms) await publish(roomId, userId, `of room ${roomId}`);
    await invoke("chatMessages", { collectionBytes: { bytes: [Buffer.from("{}")] } });
    for (const roomId of rooms) expect(await contents(roomId)).toEqual([`of room ${roomId}`]);
  });
});
