import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { busOf } from "../support/bus.js";
import { call, makeRoom, newUsers, until } from "../support/client.js";
import { type ReceivedSpan, TRACING } from "../support/otlpReceiver.js";
import { ownStack } from "../support/ownStack.js";
import { open, openConnected, type RawSocket } from "../support/rawSocket.js";

const stack = ownStack(TRACING);
const [SERVER, PRODUCER, CONSUMER] = [2, 4, 5];
const MARK = "neverInTelemetry";

const named = (name: string): ReceivedSpan[] => stack.receiver.spans.filter((span) => span.name === name);

async function found(name: string, is: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan> {
  await until(() => named(name).some(is), `a span ${name}`);
  return named(name).find(is)!;
}

const childOf =
  (parent: ReceivedSpan) =>
  (span: ReceivedSpan): boolean =>
    span.parentSpanId === parent.spanId && span.traceId === parent.traceId;

const linksTo =
  (source: ReceivedSpan) =>
  (span: ReceivedSpan): boolean =>
    span.links.some(({ spanId, traceId }) => spanId === source.spanId && traceId === source.traceId);

async function inRoom(): Promise<{ user: number; roomId: number; socket: RawSocket }> {
  const [user] = newUsers(1) as [number];
  const roomId = await makeRoom([user], stack.addresses);
  const socket = await openConnected(user, "1.2", undefined, "", stack.addresses.webPubSub);
  socket.send(`SUBSCRIBE\nid:a\ndestination:/sub/chat/room/${roomId}\nreceipt:s\n\n\0`);
  expect(await socket.next()).toContain("receipt-id:s");
  return { user, roomId, socket };
}

const sendFrame = (roomId: number, content: string): string =>
  `SEND\ndestination:/pub/chat/message\n\n${JSON.stringify({ roomId, content })}\0`;

test("a message is one trace from its frame to the bus, and the batch's trace links to it", async () => {
  const { user, roomId, socket } = await inRoom();
  socket.send(sendFrame(roomId, MARK));
  expect(await socket.next()).toContain(MARK);

  const frame = await found(
    "SEND /pub/chat/message",
    ({ attributes }) => attributes["chat.room.id"] === String(roomId),
  );
  expect(frame).toMatchObject({ kind: SERVER, attributes: { "user.id": String(user) } });
  expect(frame.parentSpanId).toBeFalsy();
  const sent = await found("send chat-messages", childOf(frame));
  expect(sent).toMatchObject({
    kind: PRODUCER,
    attributes: { "messaging.destination.name": "chat-messages" },
  });
  const batch = await found("process chat-messages", linksTo(sent));
  expect(batch).toMatchObject({ kind: CONSUMER, attributes: { "messaging.batch.message_count": "1" } });
  expect(batch.links).toHaveLength(1);
  expect(batch.traceId).not.toBe(frame.traceId);
  const stored = await found("store chat-messages", childOf(batch));
  expect(stored.attributes).toMatchObject({ "chat.events": "1", "chat.events.refused": "0" });
  const shown = await found("broadcast chat-messages", childOf(batch));
  expect(shown.attributes).toMatchObject({ "chat.messages": "1", "chat.rooms": "1" });
  await socket.close();
});

describe("a call's trace", () => {
  const TRACE = "0af7651916cd43dd8448eb211c80319c";
  const SPAN = "b7ad6b7169203331";

  const read = (user: number, roomId: number, traceparent: string) =>
    call("PATCH", `/rooms/${roomId}/read?messageId=1`, user, undefined, stack.addresses, { traceparent });

  test("is the caller's, and goes on in the event", async () => {
    const { user, roomId } = await inRoom();
    expect((await read(user, roomId, `00-${TRACE}-${SPAN}-01`)).status).toBe(202);
    const called = await found("PATCH rooms/{roomId}/read", ({ traceId }) => traceId === TRACE);
    expect(called).toMatchObject({
      kind: SERVER,
      parentSpanId: SPAN,
      attributes: { "http.route": "rooms/{roomId}/read", "http.response.status_code": "202" },
    });
    const sent = await found("send chat-read-events", childOf(called));
    await found("process chat-read-events", linksTo(sent));
  });

  test("goes into announcements that are published together, too", async () => {
    const [user, other] = newUsers(2) as [number, number];
    const roomId = await makeRoom([user], stack.addresses);
    const traceparent = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const body = { userIds: [other] };
    await call("POST", `/group-rooms/${roomId}/invite`, user, body, stack.addresses, { traceparent });
    const called = await found(
      "POST group-rooms/{roomId}/invite",
      ({ traceId }) => traceId === "1af7651916cd43dd8448eb211c80319c",
    );
    await found("process chat-messages", linksTo(await found("send chat-messages", childOf(called))));
  });

  test("that is not sampled is followed without a span", async () => {
    const { user, roomId } = await inRoom();
    const unsampled = "2af7651916cd43dd8448eb211c80319c";
    await read(user, roomId, `00-${unsampled}-${SPAN}-00`);
    await read(user, roomId, `00-3af7651916cd43dd8448eb211c80319c-${SPAN}-01`);
    await found("send chat-read-events", ({ traceId }) => traceId === "3af7651916cd43dd8448eb211c80319c");
    expect(stack.receiver.spans.filter(({ traceId }) => traceId === unsampled)).toEqual([]);
  });

  test.each([
    ["garbage", "garbage"],
    ["no trace", `00-${"0".repeat(32)}-${SPAN}-01`],
    ["no span", `00-${TRACE}-${"0".repeat(16)}-01`],
    ["upper case", `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ["the version that is none", `ff-${TRACE}-${SPAN}-01`],
    ["more behind it", `00-${TRACE}-${SPAN}-01-more`],
    ["very much behind it", `00-${TRACE}-${SPAN}-01${"0".repeat(5_000)}`],
  ])("that is none is no harm: %s", async (_what, traceparent) => {
    const { user, roomId } = await inRoom();
    expect((await read(user, roomId, traceparent)).status).toBe(202);
    const called = await found(
      "PATCH rooms/{roomId}/read",
      ({ attributes, parentSpanId }) => attributes["chat.room.id"] === String(roomId) && !parentSpanId,
    );
    await found("process chat-read-events", linksTo(await found("send chat-read-events", childOf(called))));
  });
});

/** Frames that are refused, each for another reason. */
const refusedFrames = (roomId: number): readonly string[] => [
  `SEND\ndestination:/pub/chat/message\n\n${JSON.stringify({ roomId, content: "", clientMessageId: MARK })}\0`,
  sendFrame(999_999_999, MARK),
  `SEND\ndestination:/pub/chat/message\n\n{"roomId":${roomId},"content":"${MARK}"\0`,
  `SEND\ndestination:/pub/chat/message\n\n${JSON.stringify({ roomId, content: MARK.repeat(1_000) })}\0`,
  `SEND\ndestination:/pub/chat/message\n\n${JSON.stringify({ roomId, content: MARK, type: "IMAGE" })}\0`,
  `SEND\ndestination:/pub/chat/${MARK}\n\n\0`,
  `SEND\ndestination:/pub/chat/token\n\n${JSON.stringify({ token: `${MARK}.${MARK}.${MARK}` })}\0`,
  `SEND\ndestination:/pub/chat/read\n\n${JSON.stringify({ roomId, messageId: MARK })}\0`,
  `SUBSCRIBE\nid:${MARK}\ndestination:/sub/chat/${MARK}\n\n\0`,
  `SUBSCRIBE\nid:${MARK}\ndestination:/sub/chat/room/999999999\n\n\0`,
  `${MARK}\n\n\0`,
  `BEGIN\ntransaction:${MARK}\n\n\0`,
  `SEND\n${MARK}\n\n\0`,
];

test("no span and no line of the log has a text or a token, whatever is refused", async () => {
  const { user, roomId, socket } = await inRoom();
  await socket.close();
  for (const frame of refusedFrames(roomId)) {
    const one = await openConnected(user, "1.2", undefined, "", stack.addresses.webPubSub);
    one.send(frame);
    expect(await one.next()).toContain("ERROR");
    await one.close();
  }
  const token = `eyJhbGciOiJIUzI1NiJ9.${Buffer.from(JSON.stringify({ sub: MARK })).toString("base64url")}.${MARK}`;
  await expect(open(user, ["v12.stomp"], "", token, stack.addresses.webPubSub)).rejects.toThrow("401");
  const calls: [method: string, path: string, caller: number | string, body?: unknown][] = [
    ["GET", "/rooms", token],
    ["POST", "/group-rooms", user, { roomName: MARK.repeat(20), userIds: [] }],
    ["POST", "/group-rooms", user, `{"roomName":"${MARK}`],
    ["GET", `/rooms?cursor=${MARK}`, user],
    ["PATCH", `/group-rooms/${roomId}`, user, { imageUrl: `http://${MARK}/` }],
  ];
  for (const [method, path, caller, body] of calls)
    expect((await call(method, path, caller, body, stack.addresses)).status).toBeGreaterThanOrEqual(400);
  // Two that are logged: an event that can't be read, and a caller that is not the service.
  const bus = busOf(stack.addresses);
  await bus.publish("chat-messages", String(roomId), { content: MARK });
  await bus.close();
  await found("send chat-messages-dlt", () => true);
  await found("BEGIN", () => true);
  await found("SEND", () => true);
  const spans = JSON.stringify(stack.receiver.spans);
  const log = readFileSync(join(stack.folder, "logs/functionsHost.log"), "utf8");
  for (const secret of [MARK, "eyJhbGciOi"]) {
    expect(spans).not.toContain(secret);
    expect(log).not.toContain(secret);
  }
});
