import { request } from "node:http";
import { expect, inject, test } from "vitest";
import { call, connect, history, makeRoom, newUsers, tokenFor } from "../support/client.js";
import { openConnected } from "../support/rawSocket.js";

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

/** A POST in chunks, without a length, of which only so much is sent as is taken. */
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

test("a body past 64 KiB is refused with 413, whether its length is said or not", async () => {
  const [ann] = newUsers(1) as [number];
  const authorization = `Bearer ${await tokenFor(ann)}`;
  for (const path of ["/group-rooms", "/sessions/logout"]) {
    expect(await call("POST", path, ann, "[".repeat(65_537))).toMatchObject({
      status: 413,
      body: { code: "MESSAGE_TOO_LARGE" },
    });
    expect(await postInChunks(path, { authorization }, 98_304)).toBe(413);
    expect(await postInChunks(path, { authorization }, 65_536)).toBe(400);
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

test("an upstream call past what the service would send is refused with 413", async () => {
  expect(await postInChunks("/upstream/message", { "ce-connectionid": "x" }, 2 * 1_048_576)).toBe(413);
});
