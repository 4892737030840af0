import { createHmac } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ChatError } from "../platform/errors.js";
import type { UpstreamAnswer } from "./answer.js";
import type { CallerProof } from "./callerProof.js";
import { createUpstream } from "./cloudEvents.js";
import type { UpstreamHandlers } from "./events.js";

const KEY = "first-key";
const SECOND_KEY = "second-key";
const sign = (key: string, connectionId = "conn-1"): string =>
  `sha256=${createHmac("sha256", key).update(connectionId).digest("hex")}`;
const encoded = (state: object): string => Buffer.from(JSON.stringify(state)).toString("base64");

let calls: [name: string, event: unknown][];
let errors: unknown[];
let unhandled: unknown[];
const keep = (reason: unknown): void => void unhandled.push(reason);

beforeEach(() => {
  calls = [];
  errors = [];
  unhandled = [];
  process.on("unhandledRejection", keep);
});
afterEach(async () => {
  // Unhandled rejections are told of once the microtasks have run.
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", keep);
  expect(unhandled).toEqual([]);
});

const recording: UpstreamHandlers = {
  async connect(event) {
    calls.push(["connect", event]);
    return { userId: "7", subprotocol: "v12.stomp", state: { x: 1 } };
  },
  async connected(event) {
    calls.push(["connected", event]);
  },
  async disconnected(event) {
    calls.push(["disconnected", event]);
  },
  async message(event) {
    calls.push(["message", event]);
    return { state: event.state };
  },
};

interface Request {
  method?: string;
  body?: string | Uint8Array;
  headers?: Record<string, string | undefined>;
}

const signatures: CallerProof = { kind: "signature", accessKeys: [KEY, SECOND_KEY] };

function ask(
  request: Request,
  handlers: Partial<UpstreamHandlers> = {},
  proof = signatures,
): Promise<UpstreamAnswer> {
  const upstream = createUpstream("chat", proof, { ...recording, ...handlers }, (error) =>
    errors.push(error),
  );
  const headers = Object.entries(request.headers ?? {}).filter((entry) => entry[1] !== undefined);
  return upstream({
    method: request.method ?? "POST",
    headers: Object.fromEntries(headers) as Record<string, string>,
    body: Buffer.from(request.body ?? ""),
  });
}

/** The headers that the service sends with every event. */
const common = (type: string): Record<string, string> => ({
  host: "functions.example.com",
  "webhook-request-origin": "chat.webpubsub.azure.com",
  "ce-awpsversion": "1.0",
  "ce-specversion": "1.0",
  "ce-source": "/hubs/chat/client/conn-1",
  "ce-type": `azure.webpubsub.${type}`,
  "ce-eventname": type.split(".")[1]!,
  "ce-hub": "chat",
  "ce-id": "12",
  "ce-connectionid": "conn-1",
  "ce-signature": sign(KEY),
});

const connect = (body: unknown = {}, headers: Request["headers"] = {}): Request => ({
  body: typeof body === "string" ? body : JSON.stringify(body),
  headers: { ...common("sys.connect"), "content-type": "application/json; charset=utf-8", ...headers },
});
const systemEvent = (name: string, headers: Request["headers"] = {}, body = "{}"): Request => ({
  body,
  headers: {
    ...common(`sys.${name}`),
    "content-type": "application/json; charset=utf-8",
    "ce-userid": "7",
    "ce-connectionstate": encoded({ x: 1 }),
    ...headers,
  },
});
const userEvent = (body: string | Uint8Array, headers: Request["headers"] = {}): Request => ({
  body,
  headers: {
    ...common("user.message"),
    "content-type": "text/plain; charset=utf-8",
    "ce-userid": "7",
    "ce-connectionstate": encoded({ x: 1, v: "1.2" }),
    ...headers,
  },
});

describe("OPTIONS", () => {
  test("allows the service's origin without a signature", async () => {
    const answer = await ask({
      method: "OPTIONS",
      headers: { "ce-awpsversion": "1.0", "webhook-request-origin": "chat.webpubsub.azure.com" },
    });
    expect(answer).toEqual({ status: 200, headers: { "webhook-allowed-origin": "*" } });
  });

  test.each([{ "ce-awpsversion": "1.0" }, { "webhook-request-origin": "chat.webpubsub.azure.com" }, {}])(
    "is refused with no more than %o",
    async (headers) => {
      expect((await ask({ method: "OPTIONS", headers })).status).toBe(400);
    },
  );
});

describe("connect", () => {
  test("hands over the handshake and answers who it is, with the state", async () => {
    const answer = await ask(
      connect({
        claims: {},
        query: { token: ["a.b.c"], connect: ["implicit", "again"] },
        headers: { Authorization: ["Bearer a"], "X-Two": ["1", "2"] },
        subprotocols: ["v12.stomp", "v10.stomp"],
        clientCertificates: [],
      }),
    );
    expect(calls).toEqual([
      [
        "connect",
        {
          connectionId: "conn-1",
          query: { token: ["a.b.c"], connect: ["implicit", "again"] },
          headers: { authorization: ["Bearer a"], "x-two": ["1", "2"] },
          subprotocols: ["v12.stomp", "v10.stomp"],
        },
      ],
    ]);
    expect(answer).toEqual({
      status: 200,
      headers: { "content-type": "application/json; charset=utf-8", "ce-connectionstate": encoded({ x: 1 }) },
      body: '{"userId":"7","subprotocol":"v12.stomp"}',
    });
  });

  test("may say nothing of headers, query and subprotocols", async () => {
    await ask(connect({}));
    expect(calls).toEqual([
      ["connect", { connectionId: "conn-1", headers: {}, query: {}, subprotocols: [] }],
    ]);
  });

  test.each<[ChatError, number]>([
    [new ChatError("UNAUTHORIZED", "The token has expired."), 401],
    [new ChatError("TOKEN_EXPIRED", "The token has expired."), 401],
    [new ChatError("FORBIDDEN", "Not from this page."), 403],
    [new ChatError("RATE_LIMIT_EXCEEDED", "Too many.", { retryAfter: 3 }), 429],
    [new ChatError("NOT_SUPPORTED", "Offer a subprotocol."), 400],
  ])("that is refused with %o is answered %i and why", async (error, status) => {
    const answer = await ask(connect(), { connect: () => Promise.reject(error) });
    expect(answer).toMatchObject({ status, body: `${error.code}: ${error.message}` });
    expect(answer.headers).not.toHaveProperty("ce-connectionstate");
    expect(errors).toEqual([]);
  });

  test.each([new ChatError("UNAVAILABLE", "no keys"), new TypeError("a bug")])(
    "that fails with %o is answered 500, says nothing of it, and is reported",
    async (error) => {
      const answer = await ask(connect(), { connect: () => Promise.reject(error) });
      expect(answer).toMatchObject({ status: 500, body: "the event could not be handled" });
      expect(errors).toHaveLength(1);
    },
  );

  test.each(["", "{", "null", '"text"', "5", '{"headers":{"a":1},', '{"headers":"a"}{}', "\0"])(
    "with the body %j is answered 400",
    async (body) => {
      expect((await ask(connect(body))).status).toBe(400);
      expect(calls).toEqual([]);
    },
  );

  test("is not hurt by members of the wrong kind", async () => {
    const answer = await ask(connect({ headers: 5, query: "a", subprotocols: ["a"] }));
    expect(answer.status).toBe(200);
  });
});

describe.each(["connected", "disconnected"] as const)("%s", (name) => {
  test("is answered 204 when its handler is done, not before", async () => {
    let finish = (): void => {};
    let answered = false;
    const work = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const answer = ask(systemEvent(name), { [name]: () => work }).then((one) => {
      answered = true;
      return one;
    });
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(false);
    finish();
    expect(await answer).toEqual({ status: 204, headers: {} });
  });

  test("hands over the connection, its user and its state", async () => {
    await ask(systemEvent(name, {}, '{"reason":"gone"}'));
    expect(calls).toEqual([[name, { connectionId: "conn-1", userId: "7", state: { x: 1 } }]]);
  });

  test("is answered 500 when its handler rejects", async () => {
    const error = new Error("away");
    const answer = await ask(systemEvent(name), { [name]: () => Promise.reject(error) });
    expect(answer.status).toBe(500);
    expect(errors).toEqual([error]);
  });

  test("is answered 500 when its handler throws before it awaits anything", async () => {
    const error = new Error("no state");
    const answer = await ask(systemEvent(name), {
      [name]: () => {
        throw error;
      },
    });
    expect(answer.status).toBe(500);
    expect(errors).toEqual([error]);
  });

  test("with a body that is no JSON is answered 400", async () => {
    expect((await ask(systemEvent(name, {}, "{"))).status).toBe(400);
    expect(calls).toEqual([]);
  });
});

describe("a message", () => {
  test("in text is handed over as its bytes, with its event's id and trace", async () => {
    const answer = await ask(userEvent("CONNECT\n\n비\0", { traceparent: "00-aa-bb-01" }));
    expect(calls).toEqual([
      [
        "message",
        {
          connectionId: "conn-1",
          userId: "7",
          state: { x: 1, v: "1.2" },
          eventId: "12",
          data: Buffer.from("CONNECT\n\n비\0"),
          traceparent: "00-aa-bb-01",
        },
      ],
    ]);
    expect(answer.status).toBe(204);
  });

  test("in bytes is handed over as it is, whatever the bytes", async () => {
    const data = Buffer.from([0xff, 0x00, 0xfe, 0x0a]);
    await ask(userEvent(data, { "content-type": "application/octet-stream" }));
    expect(calls[0]?.[1]).toMatchObject({ data });
  });

  test("that is empty is handed over too", async () => {
    await ask(userEvent(""));
    expect(calls[0]?.[1]).toMatchObject({ data: Buffer.alloc(0) });
  });

  test("without an answer is 204, and the state is left as it is", async () => {
    expect(await ask(userEvent("\n"))).toEqual({
      status: 204,
      headers: { "content-type": "text/plain; charset=utf-8" },
    });
  });

  test("with an answer is 200 in text", async () => {
    const answer = await ask(userEvent("a"), {
      message: async ({ state }) => ({ state, text: "RECEIPT\n\n\0" }),
    });
    expect(answer).toEqual({
      status: 200,
      headers: { "content-type": "text/plain; charset=utf-8" },
      body: "RECEIPT\n\n\0",
    });
  });

  test("can replace the state: what is not in the new one is gone", async () => {
    const answer = await ask(userEvent("a"), {
      message: async () => ({ state: { v: "1.1", n: "비", s: undefined } }),
    });
    expect(answer).toMatchObject({ status: 204 });
    const state = Buffer.from(answer.headers["ce-connectionstate"]!, "base64").toString();
    expect(JSON.parse(state)).toEqual({ v: "1.1", n: "비" });
  });

  test("without a state, or with a broken one, has an empty one", async () => {
    await ask(userEvent("a", { "ce-connectionstate": undefined }));
    await ask(userEvent("a", { "ce-connectionstate": encoded([1]) }));
    expect(calls.map(([, event]) => (event as { state: unknown }).state)).toEqual([{}, {}]);
  });

  test("whose handler rejects is answered 500 without the cause, and reported", async () => {
    const error = new Error("password");
    const answer = await ask(userEvent("a"), { message: () => Promise.reject(error) });
    expect(answer).toMatchObject({ status: 500, body: "the event could not be handled" });
    expect(errors).toEqual([error]);
  });

  test.each([undefined, "image/png", ""])("of the content type %j is answered 400", async (type) => {
    expect((await ask(userEvent("a", { "content-type": type }))).status).toBe(400);
    expect(calls).toEqual([]);
  });
});

describe("a signature", () => {
  test.each<[string, string]>([
    ["of the primary key", sign(KEY)],
    ["of the secondary key", sign(SECOND_KEY)],
    ["of both, as the service sends them", `${sign(KEY)},${sign(SECOND_KEY)}`],
    ["of ours among strangers", `${sign("other")},${sign(SECOND_KEY)}`],
  ])("%s lets the event in", async (_what, signature) => {
    expect((await ask(userEvent("a", { "ce-signature": signature }))).status).toBe(204);
    expect(calls).toHaveLength(1);
  });

  test.each<[string, Record<string, string | undefined>]>([
    ["is missing", { "ce-signature": undefined }],
    ["is empty", { "ce-signature": "" }],
    ["is of another key", { "ce-signature": sign("other") }],
    ["is of another connection", { "ce-signature": sign(KEY, "conn-2") }],
    ["has no connection", { "ce-connectionid": undefined }],
  ])("that %s keeps every event out with 401", async (_what, headers) => {
    for (const event of [connect({}, headers), systemEvent("connected", headers), userEvent("a", headers)])
      expect((await ask(event)).status).toBe(401);
    expect(calls).toEqual([]);
  });
});

describe("the service's own token", () => {
  const asked: unknown[] = [];
  const tokens = (verify: () => Promise<void>): CallerProof => ({
    kind: "token",
    verify(authorization) {
      asked.push(authorization);
      return verify();
    },
  });
  const right = tokens(async () => {});
  const wrong = tokens(() => Promise.reject(new ChatError("UNAUTHORIZED", "The token has expired.")));
  beforeEach(() => void asked.splice(0));

  test("lets events in, whatever their signature is", async () => {
    const headers = { authorization: "Bearer a.b.c", "ce-signature": undefined };
    for (const event of [
      userEvent("a", headers),
      userEvent("a", { ...headers, "ce-signature": sign("other") }),
    ])
      expect((await ask(event, {}, right)).status).toBe(204);
    expect(asked).toEqual(["Bearer a.b.c", "Bearer a.b.c"]);
    expect(calls).toHaveLength(2);
  });

  test("that is false keeps every event out with 401, whatever their signature is", async () => {
    const headers = { authorization: "Bearer a.b.c" };
    for (const event of [connect({}, headers), systemEvent("connected", headers), userEvent("a", headers)])
      expect(await ask(event, {}, wrong)).toMatchObject({ status: 401, body: "The token has expired." });
    expect([calls, errors]).toEqual([[], []]);
  });

  test("is not the client's, which is in the body", async () => {
    await ask(connect({ headers: { Authorization: ["Bearer client"] } }), {}, wrong);
    expect(asked).toEqual([undefined]);
    await ask(connect({ headers: {} }, { authorization: "Bearer service" }), {}, right);
    expect(asked).toEqual([undefined, "Bearer service"]);
    expect(calls[0]?.[1]).toMatchObject({ headers: {} });
  });

  test.each([new ChatError("UNAVAILABLE", "no keys"), new TypeError("a bug")])(
    "that can't be judged because of %o is answered 503, says nothing of it, and is reported",
    async (error) => {
      const answer = await ask(
        userEvent("a"),
        {},
        tokens(() => Promise.reject(error)),
      );
      expect(answer).toMatchObject({ status: 503, body: "the caller can't be verified right now" });
      expect([calls, errors]).toEqual([[], [error]]);
    },
  );

  test("is not needed for OPTIONS", async () => {
    const headers = { "ce-awpsversion": "1.0", "webhook-request-origin": "chat.webpubsub.azure.com" };
    expect((await ask({ method: "OPTIONS", headers }, {}, wrong)).status).toBe(200);
    expect(asked).toEqual([]);
  });
});

test("without anything to prove calls by there is no upstream", () => {
  const none: CallerProof = { kind: "signature", accessKeys: [] };
  expect(() => createUpstream("chat", none, recording, () => {})).toThrow("set an access key");
});

describe("what isn't an event of this hub is answered 400", () => {
  test.each<[string, Record<string, string | undefined>]>([
    ["another hub", { "ce-hub": "other" }],
    ["no hub", { "ce-hub": undefined }],
    ["no type", { "ce-type": undefined }],
    ["a type of somebody else", { "ce-type": "com.example.connect" }],
    ["a system event nobody knows", { "ce-type": "azure.webpubsub.sys.renamed" }],
    ["no version of the protocol", { "ce-awpsversion": undefined }],
    ["no origin", { "webhook-request-origin": undefined }],
  ])("%s", async (_what, headers) => {
    expect((await ask(userEvent("a", headers))).status).toBe(400);
    expect(calls).toEqual([]);
    expect(errors).toEqual([]);
  });

  test.each(["GET", "PUT", "DELETE"])("the method %s", async (method) => {
    expect((await ask({ ...userEvent("a"), method })).status).toBe(400);
    expect(calls).toEqual([]);
  });
});

test("the hub's case does not matter, as it does not to the service", async () => {
  expect((await ask(userEvent("a", { "ce-hub": "Chat" }))).status).toBe(204);
});

test("events at once do not mix", async () => {
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, index) =>
      ask(userEvent(String(index), { "ce-connectionstate": encoded({ x: index }) }), {
        async message({ data, state }) {
          await new Promise((resolve) => setTimeout(resolve, (index * 7) % 5));
          return { text: `${Buffer.from(data)} ${JSON.stringify(state)}`, state };
        },
      }),
    ),
  );
  expect(answers.map(({ body }) => body)).toEqual(answers.map((_, index) => `${index} {"x":${index}}`));
});
