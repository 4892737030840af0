import { describe, expect, inject, test } from "vitest";
import WebSocket from "ws";
import { connect, makeRoom, newUsers, tokenFor, until } from "../support/client.js";
import { open } from "../support/rawSocket.js";

describe.each(["1.0", "1.1", "1.2"])("STOMP %s", (version) => {
  test("connects, subscribes, sends, receives its own message and disconnects with a receipt", async () => {
    const [ann] = newUsers(1) as [number];
    const roomId = await makeRoom([ann]);
    const a = await connect(ann, { version });
    expect(a.client.connectedVersion).toBe(version);
    const seen = await a.subscribe(`/sub/chat/room/${roomId}`, { id: "my:own id" });
    await a.say(roomId, "안녕 👋 a:b\\c\nnew line");
    await until(() => seen.length === 1, "the message");
    expect(seen[0]).toMatchObject({ content: "안녕 👋 a:b\\c\nnew line", seq: 1 });
    await a.close();
  });
});

test("the highest subprotocol offered is chosen, and the version by accept-version", async () => {
  const [ann] = newUsers(1) as [number];
  const socket = await open(ann, ["v10.stomp", "v12.stomp", "v11.stomp"]);
  expect(socket.protocol).toBe("v12.stomp");
  socket.send("CONNECT\naccept-version:1.0,1.1\nhost:chat\n\n\0");
  expect(await socket.next()).toMatch(
    /^CONNECTED\nversion:1\.1\nserver:.+\nsession:.+\nuser-name:\d+\nheart-beat:0,0\n\n\0$/,
  );
  await socket.close();
});

test("no common version is an ERROR that lists ours, then a close", async () => {
  const [ann] = newUsers(1) as [number];
  const socket = await open(ann);
  socket.send("CONNECT\naccept-version:2.0\nhost:chat\n\n\0");
  expect(await socket.next()).toMatch(/^ERROR\n[\s\S]*version:1\.0,1\.1,1\.2\n/);
  await socket.closed;
});

test("connect=implicit takes the handshake as CONNECT and answers CONNECTED by itself", async () => {
  const [ann] = newUsers(1) as [number];
  const roomId = await makeRoom([ann]);
  const socket = await open(ann, ["v12.stomp"], "&connect=implicit");
  expect(await socket.next()).toMatch(/^CONNECTED\nversion:1\.2\n/);
  socket.send(
    `SUBSCRIBE\nid:/sub/chat/room/${roomId}\ndestination:/sub/chat/room/${roomId}\nreceipt:r\n\n\0`,
  );
  expect(await socket.next()).toBe("RECEIPT\nreceipt-id:r\n\n\0");
  await socket.close();
});

test("a handshake without any subprotocol is accepted: CONNECT says the version", async () => {
  const [ann] = newUsers(1) as [number];
  for (const version of ["1.0", "1.1", "1.2"]) {
    const socket = await open(ann, []);
    expect(socket.protocol).toBe("");
    socket.send(`CONNECT\naccept-version:${version}\nhost:chat\n\n\0`);
    expect(await socket.next()).toMatch(new RegExp(`^CONNECTED\nversion:${version}\n`));
    await socket.close();
  }
  const implicit = await open(ann, [], "&connect=implicit");
  expect(await implicit.next()).toMatch(/^CONNECTED\nversion:1\.2\n/);
  await implicit.close();
});

test("frames in pieces are put together, whichever process gets them", async () => {
  const [ann] = newUsers(1) as [number];
  const roomId = await makeRoom([ann]);
  const socket = await open(ann, []);
  const body = JSON.stringify({ roomId, content: "가나다 🙂", more: "x".repeat(60_000) });
  const text = Buffer.from(
    "CONNECT\naccept-version:1.2\n\n\0" +
      `SEND\ndestination:/pub/chat/message\nreceipt:1\ncontent-length:${Buffer.byteLength(body)}\n\n${body}\0` +
      `SEND\ndestination:/pub/chat/message\nreceipt:2\n\n${body}\0`,
  );
  for (let at = 0; at < text.length; at += 4_099) socket.send(text.subarray(at, at + 4_099));
  expect(await socket.next()).toMatch(/^CONNECTED/);
  expect(await socket.next()).toBe("RECEIPT\nreceipt-id:1\n\n\0");
  expect(await socket.next()).toBe("RECEIPT\nreceipt-id:2\n\n\0");
  await socket.close();
});

test.each([
  ["another one", ["chat"]],
  ["the service's own", ["json.webpubsub.azure.v1"]],
])("a handshake that offers %s of our subprotocols is refused with 400", async (_name, protocols) => {
  const [ann] = newUsers(1) as [number];
  const url = `${inject("stack").webPubSub}?token=${await tokenFor(ann)}`;
  const socket = new WebSocket(url, protocols);
  const status = await new Promise((resolve, reject) => {
    socket.on("unexpected-response", (_request, response) => resolve(response.statusCode));
    socket.on("open", () => reject(new Error("it was accepted")));
    socket.on("error", () => {});
  });
  expect(status).toBe(400);
});

test("several frames in one WebSocket message, heart-beats between them, are handled in order and answered one a message", async () => {
  const [ann] = newUsers(1) as [number];
  const roomId = await makeRoom([ann]);
  const socket = await open(ann);
  const body = JSON.stringify({ roomId, content: "hi" });
  socket.send(
    `\n\r\nCONNECT\naccept-version:1.2\nhost:chat\n\n\0\n\nSUBSCRIBE\r\nid:a\r\ndestination:/sub/chat/room/${roomId}\r\nreceipt:1\r\n\r\n\0\n` +
      `SEND\ndestination:/pub/chat/message\nreceipt:2\ncontent-length:${body.length}\n\n${body}\0\n`,
  );
  expect(await socket.next()).toMatch(/^CONNECTED\n/);
  expect(await socket.next()).toBe("RECEIPT\nreceipt-id:1\n\n\0");
  // The message may be shown while the answers are still on their way.
  const last = [await socket.next(), await socket.next()].sort();
  expect(last[0]).toMatch(/^MESSAGE\n[\s\S]*subscription:a\n[\s\S]*"content":"hi"/);
  expect(last[1]).toBe("RECEIPT\nreceipt-id:2\n\n\0");
  socket.send("\n");
  socket.send("DISCONNECT\nreceipt:bye\n\n\0");
  expect(await socket.next()).toBe("RECEIPT\nreceipt-id:bye\n\n\0");
  await socket.closed;
});

test("binary WebSocket messages are frames, too", async () => {
  const [ann] = newUsers(1) as [number];
  const socket = await open(ann);
  socket.send(Buffer.from("STOMP\naccept-version:1.1\nhost:chat\n\n\0"));
  expect(await socket.next()).toMatch(/^CONNECTED\nversion:1\.1\n/);
  await socket.close();
});
