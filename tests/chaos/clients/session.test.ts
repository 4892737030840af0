import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import type WebSocket from "ws";
import { WebSocketServer } from "ws";
import type { OpenLink } from "./link.js";
import { openRaw } from "./rawLink.js";
import { Session } from "./session.js";
import { type Frame, parse, serialize } from "./stompFrames.js";
import { openStompJs } from "./stompJsLink.js";

const servers: WebSocketServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    for (const client of server.clients) client.terminate();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** A server that answers CONNECT, and every other frame as it is told. */
async function serving(answer: (frame: Frame, socket: WebSocket) => void): Promise<string> {
  const server = new WebSocketServer({ port: 0, handleProtocols: () => "v12.stomp" });
  servers.push(server);
  server.on("connection", (socket) =>
    socket.on("message", (data) => {
      for (const frame of parse(data.toString()))
        if (frame.command === "CONNECT") socket.send("CONNECTED\nversion:1.2\n\n\0");
        else answer(frame, socket);
    }),
  );
  await new Promise((resolve) => server.once("listening", resolve));
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const frameTo = (destination: string): Frame => ({ command: "SEND", headers: { destination }, body: "{}" });

const LINKS: readonly [string, OpenLink][] = [
  ["the raw client", openRaw],
  ["@stomp/stompjs", openStompJs],
];

test.each(LINKS)("%s hears a RECEIPT, a refusal, and that its connection is lost", async (_name, open) => {
  const url = await serving(({ headers }, socket) => {
    const { destination, receipt = "" } = headers;
    if (destination === "/lost") socket.terminate();
    else if (destination === "/good") socket.send(`RECEIPT\nreceipt-id:${receipt}\n\n\0`);
    else socket.send(`ERROR\nreceipt-id:${receipt}\n\n{"code":"NOT_A_MEMBER","message":"No."}\0`);
  });
  const session = new Session(open, url, 1, () => {});
  expect(await session.connected).toBe(true);
  expect(await session.ask(frameTo("/good"))).toEqual({ kind: "receipt" });
  expect(await session.ask(frameTo("/bad"))).toEqual({ kind: "refused", code: "NOT_A_MEMBER", text: "No." });
  expect(await session.ask(frameTo("/lost"))).toEqual({ kind: "lost" });
  await session.closed;
  expect(session.isOpen).toBe(false);
  expect(await session.ask(frameTo("/good"))).toEqual({ kind: "lost" });
});

test.each(LINKS)("%s hears what comes on its subscription", async (_name, open) => {
  const message = { destination: "/sub/chat/room/1", "message-id": "1" };
  const url = await serving(({ headers: { id = "", receipt = "" } }, socket) => {
    const headers = { ...message, subscription: id };
    socket.send(serialize({ command: "MESSAGE", headers, body: '{"seq":1}' }));
    socket.send(`RECEIPT\nreceipt-id:${receipt}\n\n\0`);
  });
  const heard: string[] = [];
  const session = new Session(open, url, 1, ({ body }) => heard.push(body));
  await session.connected;
  const id = session.subscriptionId("/sub/chat/room/1");
  await session.ask({ command: "SUBSCRIBE", headers: { destination: "/sub/chat/room/1", id }, body: "" });
  expect(heard).toEqual(['{"seq":1}']);
  await session.end();
});

test("a connection that can't be made is closed, and never connected", async () => {
  const session = new Session(openRaw, "ws://127.0.0.1:1", 1, () => {});
  expect(await session.connected).toBe(false);
  await session.closed;
});
