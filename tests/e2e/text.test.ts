import { request } from "node:http";
import { expect, inject, test } from "vitest";
import { call, connect, history, makeRoom, newUsers, tokenFor } from "../support/client.js";
import { openConnected } from "../support/rawSocket.js";
import { signatureOf } from "../support/signature.js";

test("what looks alike is alike: contents and names are stored normalized, a client's own id as it was sent", async () => {
  const [ann] = newUsers(1) as [number];
  const roomId = await makeRoom([ann]);
  const client = await connect(ann);
  const shown = await client.subscribe(`/sub/chat/room/${roomId}`);
  await client.say(roomId, "cafe\u0301 \u1112\u1161\u11ab\n\t🙂", { clientMessageId: "e\u0301" });
  await expect.poll(() => shown[0]?.content).toBe("caf\u00e9 한\n\t🙂");
  const [stored] = await history(roomId, ann);
  expect(stored).toMatchObject({ content: "caf\u00e9 한\n\t🙂", clientMessageId: "e\u0301" });
  const named = await call("PATCH", `/group-rooms/${roomId}`, ann, { name: "cafe\u0301" });
  expect(named.body.name).toBe("caf\u00e9");
  await client.close();
});

test.each(["\0", "\r", "\u001b[31m", "\u007f", "\u0085", "\ud800"])(
  "%j in a content, an id or a name is refused, and the field named",
  async (bad) => {
    const [ann] = newUsers(1) as [number];
    const roomId = await makeRoom([ann]);
    for (const [field, more] of [
      ["content", { content: `a${bad}` }],
      ["clientMessageId", { content: "a", clientMessageId: `a${bad}` }],
    ] as const) {
      const client = await connect(ann);
      await expect(client.say(roomId, more.content, more)).rejects.toThrow(`"message":"${field}: must`);
      await client.close();
    }
    // Not at its end, where a name loses its white space.
    const named = await call("PATCH", `/group-rooms/${roomId}`, ann, { name: `a${bad}b` });
    expect(named).toMatchObject({ status: 400, body: { code: "INVALID_REQUEST", field: "name" } });
    expect(await history(roomId, ann)).toEqual([]);
  },
);

test.each(["\u3164", "\u200b\u2800", "\u{e0041}", "\u0301", "\u202e\u202c"])(
  "what nobody can see is no message, no name and no device: %j",
  async (unseen) => {
    const [ann] = newUsers(1) as [number];
    const roomId = await makeRoom([ann]);
    const client = await connect(ann);
    await expect(client.say(roomId, unseen)).rejects.toThrow(
      '"message":"content: must have something visible',
    );
    await client.close();
    for (const [method, path, body] of [
      ["PATCH", `/group-rooms/${roomId}`, { name: unseen }],
      ["POST", "/group-rooms", { roomName: unseen, userIds: [] }],
      ["POST", "/sessions/logout", { deviceId: unseen }],
    ] as const)
      expect(await call(method, path, ann, body)).toMatchObject({
        status: 400,
        body: { code: "INVALID_REQUEST" },
      });
    expect(await history(roomId, ann)).toEqual([]);
  },
);

test("a room's name turns nothing round, and hides nothing", async () => {
  const [ann] = newUsers(1) as [number];
  const roomId = await makeRoom([ann]);
  const rename = (name: string) => call("PATCH", `/group-rooms/${roomId}`, ann, { name });
  expect(await rename("a\u202eb")).toMatchObject({
    status: 400,
    body: { detail: "name: must have no characters that change the direction of text" },
  });
  expect((await rename("\u200bRoom\u3164 👩‍🚀\u{e0041}")).body.name).toBe("Room 👩‍🚀");
});

test("two members' names differ by more than what nobody can see; one of nothing else is none", async () => {
  const [ann, alike, turned, unseen] = newUsers(4) as [number, number, number, number];
  const names = ["Ann", "A\u200bnn\u3164 ", "\u202ennA", "\u3164"];
  const roomId = await makeRoom([ann, alike, turned, unseen]);
  for (const [index, user] of [ann, alike, turned, unseen].entries()) {
    const client = await connect(user, { nickname: names[index] as string });
    await client.say(roomId, "hello");
    await client.close();
  }
  const shown = ["Ann", "Ann", "nnA", `User ${unseen}`];
  await expect.poll(async () => (await history(roomId, ann)).length).toBe(4);
  expect((await history(roomId, ann)).map(({ senderNickname }) => senderNickname)).toEqual(shown);
  const { members } = (await call("GET", `/group-rooms/${roomId}/members`, ann)).body;
  expect(members.map(({ nickname }: { nickname: string }) => nickname)).toEqual(shown);
});

test("an image's URL is one of which all can be seen", async () => {
  const [ann] = newUsers(1) as [number];
  const roomId = await makeRoom([ann]);
  for (const url of ["https://example.com/\u202egnp.exe", "https://exam\u200bple.com/a.png"]) {
    const client = await connect(ann);
    await expect(client.say(roomId, url, { type: "IMAGE" })).rejects.toThrow("must be an https URL");
    await client.close();
  }
});

test.each(["\n", "\t", "\u2028"])("%j has its place in contents, ids and names", async (line) => {
  const [ann] = newUsers(1) as [number];
  const roomId = await makeRoom([ann]);
  const client = await connect(ann);
  await client.say(roomId, `a${line}b`, { clientMessageId: `a${line}b` });
  await expect
    .poll(async () => (await history(roomId, ann))[0])
    .toMatchObject({ content: `a${line}b`, clientMessageId: `a${line}b` });
  await client.close();
  const named = await call("PATCH", `/group-rooms/${roomId}`, ann, { name: `a${line}b` });
  expect(named).toMatchObject({ status: 200, body: { name: `a${line}b` } });
});

test("text that would take long to normalize, and JSON as deep as it goes, are judged at once", async () => {
  const [ann] = newUsers(1) as [number];
  const roomId = await makeRoom([ann]);
  const deep = `${"[".repeat(32_000)}${"]".repeat(32_000)}`;
  const socket = await openConnected(ann);
  const ask = async (body: string): Promise<string> => {
    socket.send(`SEND\ndestination:/pub/chat/message\nreceipt:r\n\n${body}\0`);
    return socket.next();
  };
  socket.send("SUBSCRIBE\nid:e\ndestination:/user/queue/errors\nreceipt:s\n\n\0");
  await socket.next();
  expect(await ask("[".repeat(65_536))).toContain("The body is not JSON");
  expect(await ask(deep)).toContain('"code":"INVALID_MESSAGE"');
  const marks = "\u0316\u0301".repeat(15_000);
  expect(await ask(JSON.stringify({ roomId, content: marks }))).toContain("combining marks in a row");
  expect(await ask(`{"roomId":${roomId},"content":"a","more":${deep}}`)).toMatch(/^RECEIPT\n/);
  await socket.close();
  const named = await call("PATCH", `/group-rooms/${roomId}`, ann, { name: marks });
  expect(named).toMatchObject({ status: 400, body: { field: "name" } });
});

/** A POST in chunks, without a length. */
async function postInChunks(path: string, headers: Record<string, string>, bytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const post = request(
      `${inject("stack").api}/api/v1/chat${path}`,
      { method: "POST", headers },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      },
    );
    post.on("error", reject);
    for (let sent = 0; sent < bytes; sent += 16_384) post.write(Buffer.alloc(16_384, "["));
    post.end();
  });
}

test("a body past 64 KiB is refused with 413, one whose length is not said with 400, as it does not arrive", async () => {
  const [ann] = newUsers(1) as [number];
  const authorization = `Bearer ${await tokenFor(ann)}`;
  for (const path of ["/group-rooms", "/sessions/logout"]) {
    expect(await call("POST", path, ann, "[".repeat(65_537))).toMatchObject({
      status: 413,
      body: { code: "MESSAGE_TOO_LARGE" },
    });
    for (const bytes of [98_304, 65_536])
      expect(await postInChunks(path, { authorization }, bytes)).toBe(400);
  }
});

test("a call that takes no body is refused one past 64 KiB, too", async () => {
  const [ann] = newUsers(1) as [number];
  const headers = { authorization: `Bearer ${await tokenFor(ann)}` };
  const negotiate = (bytes: number) =>
    fetch(`${inject("stack").api}/api/v1/chat/negotiate`, {
      method: "POST",
      headers,
      body: "[".repeat(bytes),
    });
  expect((await negotiate(65_537)).status).toBe(413);
  expect((await negotiate(65_536)).status).toBe(200);
});

test("an upstream call past what the service would send is refused with 413, a stranger's with 401", async () => {
  const post = async (headers: Record<string, string>): Promise<number> => {
    const url = `${inject("stack").api}/api/v1/chat/upstream/message`;
    const event = { "ce-id": "1", "ce-type": "azure.webpubsub.user.message", "ce-connectionid": "x" };
    const body = Buffer.alloc(2 * 1_048_576);
    return (await fetch(url, { method: "POST", headers: { ...event, ...headers }, body })).status;
  };
  expect(await post({})).toBe(401);
  expect(await post({ "ce-signature": signatureOf("x") })).toBe(413);
});
