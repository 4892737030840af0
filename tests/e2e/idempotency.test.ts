import { createConnection } from "mysql2/promise";
import { describe, expect, inject, test } from "vitest";
import {
  call,
  type HttpAnswer,
  history,
  type Json,
  makeRoom,
  newUsers,
  tokenFor,
  until,
} from "../support/client.js";

/** The header `Idempotency-Key` of calls that make something. */

const keyed = (method: string, path: string, caller: number, body: Json, key: string): Promise<HttpAnswer> =>
  call(method, path, caller, body, undefined, { "Idempotency-Key": key });

const group = (caller: number, key: string, roomName = "room", userIds: readonly number[] = []) =>
  keyed("POST", "/group-rooms", caller, { roomName, userIds }, key);

const roomsOf = async (user: number): Promise<Json[]> =>
  (await call("GET", "/rooms?limit=100", user)).body.rooms;

const same = ({ status, body }: HttpAnswer): Json => ({ status, body });

async function sql(statement: string, values: unknown[]): Promise<Json[]> {
  const connection = await createConnection(inject("stack").mysql);
  try {
    return (await connection.query(statement, values))[0] as Json[];
  } finally {
    await connection.end();
  }
}

describe("the same call with the same key", () => {
  test("makes one group and is answered the same", async () => {
    const [ann, ben] = newUsers(2) as [number, number];
    const first = await group(ann, "once", "room", [ben]);
    expect(first.status).toBe(201);
    expect(same(await group(ann, "once", "room", [ben]))).toEqual(same(first));
    expect(await roomsOf(ann)).toHaveLength(1);
  });

  test("many at once make one group, and all are answered alike", async () => {
    const [ann, ...others] = newUsers(11) as [number, ...number[]];
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => group(ann, "at-once", "room", others)),
    );
    expect(new Set(answers.map((answer) => JSON.stringify(same(answer)))).size).toBe(1);
    expect(answers[0]!.status).toBe(201);
    expect(await roomsOf(ann)).toHaveLength(1);
    for (const other of others) expect(await roomsOf(other)).toHaveLength(1);
  });

  test("answers 201 for a one-to-one room again, also at once, and also when it has been left", async () => {
    const [ann, ben] = newUsers(2) as [number, number];
    const open = () => keyed("POST", "/rooms", ann, { targetUserId: ben }, "direct");
    const answers = await Promise.all([open(), open(), open()]);
    for (const answer of answers) expect(same(answer)).toEqual({ status: 201, body: answers[0]!.body });
    await call("DELETE", `/rooms/${answers[0]!.body.roomId}`, ann);
    expect(same(await open())).toEqual(same(answers[0]!));
    // The first answer, and nothing done: another key opens it again.
    expect(await roomsOf(ann)).toEqual([]);
    expect((await keyed("POST", "/rooms", ann, { targetUserId: ben }, "again")).status).toBe(200);
    expect(await roomsOf(ann)).toHaveLength(1);
  });

  test("invites once: the repeat says who was invited then, and announces nothing", async () => {
    const [ann, ben, cho] = newUsers(3) as [number, number, number];
    const roomId = await makeRoom([ann]);
    const invite = () => keyed("POST", `/group-rooms/${roomId}/invite`, ann, { userIds: [ben, cho] }, "!");
    const answers = await Promise.all([invite(), invite(), invite()]);
    for (const answer of answers)
      expect(same(answer)).toEqual({ status: 200, body: { roomId, invited: [ben, cho] } });
    await call("DELETE", `/group-rooms/${roomId}/members/${cho}`, ann);
    expect(same(await invite())).toEqual(same(answers[0]!));
    await until(async () => (await history(roomId, ann)).length === 2, "what was announced");
    expect((await history(roomId, ann)).map(({ type }) => type)).toEqual(["SYSTEM_INVITE", "SYSTEM_KICK"]);
  });

  test("of another user is another call", async () => {
    const [ann, ben] = newUsers(2) as [number, number];
    const answers = await Promise.all([group(ann, "shared"), group(ben, "shared")]);
    expect(answers.map(({ status }) => status)).toEqual([201, 201]);
    expect(answers[0]!.body.roomId).not.toBe(answers[1]!.body.roomId);
  });

  test("a day later makes another one: the sweep has forgotten it", async () => {
    const [ann] = newUsers(1) as [number];
    const { body } = await group(ann, "yesterday");
    await sql("UPDATE idempotency_keys SET created_at = created_at - INTERVAL 23 HOUR WHERE user_id = ?", [
      ann,
    ]);
    expect((await group(ann, "yesterday")).body).toEqual(body);
    await sql("UPDATE idempotency_keys SET created_at = created_at - INTERVAL 61 MINUTE WHERE user_id = ?", [
      ann,
    ]);
    const kept = () => sql("SELECT 1 FROM idempotency_keys WHERE user_id = ?", [ann]);
    await until(async () => (await kept()).length === 0, "the sweep");
    expect((await group(ann, "yesterday")).body.roomId).not.toBe(body.roomId);
  });
});

describe("the same key with another call", () => {
  test("is refused with 422, and does nothing", async () => {
    const [ann, ben, cho] = newUsers(3) as [number, number, number];
    const { body } = await group(ann, "k", "room", [ben]);
    const refused = { status: 422, body: { code: "IDEMPOTENCY_KEY_REUSED" } };
    expect(await group(ann, "k", "other", [ben])).toMatchObject(refused);
    expect(await group(ann, "k", "room", [cho])).toMatchObject(refused);
    expect(await keyed("POST", "/rooms", ann, { targetUserId: ben }, "k")).toMatchObject(refused);
    const invite = keyed("POST", `/group-rooms/${body.roomId}/invite`, ann, { userIds: [cho] }, "k");
    expect(await invite).toMatchObject(refused);
    expect(await roomsOf(ann)).toHaveLength(1);
    expect(await roomsOf(cho)).toEqual([]);
  });
});

describe("a call that is refused", () => {
  test("keeps nothing: the key is free for the right one", async () => {
    const [ann, ben] = newUsers(2) as [number, number];
    expect((await keyed("POST", "/group-rooms", ann, { roomName: "" }, "k")).status).toBe(400);
    const elsewhere = await makeRoom([ben]);
    const invite = keyed("POST", `/group-rooms/${elsewhere}/invite`, ann, { userIds: [ann] }, "k");
    expect((await invite).status).toBe(403);
    expect((await group(ann, "k")).status).toBe(201);
  });

  test.each(["two words", "ü", "a".repeat(65), "tab\tin"])("has a key that is none: %j", async (key) => {
    const [ann] = newUsers(1) as [number];
    const response = await fetch(`${inject("stack").api}/api/v1/chat/group-rooms`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${await tokenFor(ann)}`,
        "idempotency-key": Buffer.from(key).toString("latin1"),
      },
      body: JSON.stringify({ roomName: "room", userIds: [] }),
    });
    expect(await response.json()).toMatchObject({ code: "INVALID_REQUEST", field: "Idempotency-Key" });
    expect(response.status).toBe(400);
  });

  test.each(["a", "~".repeat(64), '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "0"])(
    "is none with the key %j",
    async (key) => {
      const [ann] = newUsers(1) as [number];
      expect((await group(ann, key)).status).toBe(201);
    },
  );
});

test("a page of another origin may send the header", async () => {
  const response = await fetch(`${inject("stack").api}/api/v1/chat/group-rooms`, {
    method: "OPTIONS",
    headers: {
      origin: "http://127.0.0.1:1",
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,idempotency-key",
    },
  });
  expect(response.headers.get("access-control-allow-headers")).toContain("idempotency-key");
});
