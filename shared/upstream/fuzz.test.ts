import { createHmac } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { ChatError } from "../platform/errors.js";
import { createUpstream, type UpstreamRequest } from "./cloudEvents.js";
import type { UpstreamHandlers } from "./events.js";

/** The same cases each time; `FUZZ_SEED` and `FUZZ_RUNS` choose others, and more of them. */
const { FUZZ_SEED, FUZZ_RUNS } = process.env;
// A call that is never answered fails like one that is answered wrongly.
const cases = { seed: Number(FUZZ_SEED ?? 7), numRuns: Number(FUZZ_RUNS ?? 2_000) };
if (FUZZ_RUNS !== undefined) vi.setConfig({ testTimeout: 3_600_000 });

const KEY = "the-key";
const signatureOf = (connectionId: string): string =>
  `sha256=${createHmac("sha256", KEY).update(connectionId).digest("hex")}`;

let called: string[] = [];
const unhandled: unknown[] = [];
const keep = (reason: unknown): void => void unhandled.push(reason);
/** What every object would have if one of the calls had put it there. */
const ofAllObjects = Reflect.ownKeys(Object.prototype);

beforeAll(() => {
  process.on("unhandledRejection", keep);
  // The middleware says there what is wrong with a state.
  for (const level of ["warn", "error"] as const) vi.spyOn(console, level).mockImplementation(() => {});
});
beforeEach(() => {
  called = [];
});
afterEach(async () => {
  // Unhandled rejections are told of once the microtasks have run.
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled.splice(0)).toEqual([]);
  expect(Reflect.ownKeys(Object.prototype)).toEqual(ofAllObjects);
});
afterAll(() => {
  process.off("unhandledRejection", keep);
  vi.restoreAllMocks();
});

/**
 * Handlers that look at all they get, and fail in one way or another where they are told to by what comes.
 */
const handlers: UpstreamHandlers = {
  async connect({ connectionId, headers, query, subprotocols }) {
    called.push("connect");
    const token = query["token"]?.[0] ?? headers["authorization"]?.[0];
    if (token === undefined) throw new ChatError("FORBIDDEN", "no token");
    return { userId: connectionId, subprotocol: subprotocols[0] ?? "v12.stomp", state: { token } };
  },
  async connected({ state }) {
    called.push("connected");
    if (Object.keys(state).length === 0) throw new Error("no state");
  },
  async disconnected({ state }) {
    called.push("disconnected");
    if (Object.keys(state).length === 0) throw new Error("no state");
  },
  async message({ data, state }) {
    called.push("message");
    if (data.length === 0) throw new Error("nothing");
    if (data.length % 5 === 0) return { state, drop: true };
    return {
      text: Buffer.from(data).toString(),
      state: data.length % 2 === 0 ? state : { ...state, more: 1 },
    };
  },
};
const upstream = createUpstream("chat", { kind: "signature", accessKeys: [KEY] }, handlers, () => {});

const huge = fc.constantFrom("x".repeat(20_000), "a,".repeat(10_000), "🙂".repeat(5_000));
const garbage = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: "binary", maxLength: 20 }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom("", " ", ",", "null", "__proto__", "constructor", "toString", "%00", "\r\n"),
  },
  { weight: 1, arbitrary: huge },
);
/** A header as the service sends it, as anybody might, or twice in one. */
const mostly = (value: fc.Arbitrary<string>): fc.Arbitrary<string | undefined> =>
  fc.oneof(
    { weight: 12, arbitrary: value },
    { weight: 1, arbitrary: garbage },
    { weight: 1, arbitrary: value.map((one) => `${one}, ${one}`) },
    { weight: 1, arbitrary: fc.constant(undefined) },
  );
const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** Objects that would reach into every other object, if anybody merged them. */
const reaching = fc.constantFrom(
  '{"__proto__":{"polluted":1}}',
  '{"constructor":{"prototype":{"polluted":1}}}',
  '{"x":{"__proto__":{"polluted":1}},"__proto__":"a"}',
  '{"toString":1,"hasOwnProperty":null,"then":{}}',
);
const state = fc.oneof(
  fc.json().map(base64),
  reaching.map(base64),
  fc.constantFrom("", "e30=", "e30", "bnVsbA==", "W10=", "====", base64('{"v":"1.2","x":9}'), base64("{")),
  fc.string({ unit: "binary", maxLength: 30 }).map(base64),
);

const strings = fc.array(fc.string({ maxLength: 5 }), { maxLength: 3 });
const lists = fc.oneof(
  fc.dictionary(
    fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom("token", "Authorization", "__proto__")),
    strings,
  ),
  fc.jsonValue({ maxDepth: 2 }),
);
const connectBody = fc
  .record({
    claims: lists,
    query: lists,
    headers: lists,
    subprotocols: fc.oneof(strings, fc.jsonValue({ maxDepth: 1 })),
    clientCertificates: fc.jsonValue({ maxDepth: 1 }),
  })
  .map((value) => JSON.stringify(value));

const body = fc.oneof(
  connectBody,
  fc.json(),
  reaching,
  fc.constantFrom(
    "",
    "{}",
    "null",
    "[]",
    "0",
    '""',
    "{",
    "[".repeat(50_000),
    '{"a":'.repeat(10_000),
    "\0".repeat(9_999),
  ),
  fc.constantFrom(
    '{"reason":null}',
    '{"context":{"states":{"a":1}}}',
    '{"queries":{"token":["a"]}}',
    '{"mqtt":null}',
  ),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
);

const TYPES = [
  "sys.connect",
  "sys.connected",
  "sys.disconnected",
  "user.message",
  "user.",
  "sys.",
  "sys.unknown",
];

const requests: fc.Arbitrary<{ request: UpstreamRequest; isSigned: boolean }> = fc
  .record({
    method: fc.oneof(
      { weight: 9, arbitrary: fc.constant("POST") },
      { weight: 1, arbitrary: fc.constantFrom("OPTIONS", "GET", "PUT", "post", "", "__proto__") },
    ),
    signing: fc.constantFrom("own", "own", "own", "own among others", "another's", "garbage", "none"),
    connectionId: fc.oneof(fc.constantFrom("conn-1", "__proto__"), garbage),
    signature: garbage,
    headers: fc.record({
      "ce-id": mostly(fc.nat().map(String)),
      "ce-type": mostly(fc.constantFrom(...TYPES).map((type) => `azure.webpubsub.${type}`)),
      "ce-hub": mostly(fc.constantFrom("chat", "Chat", "other")),
      "ce-userid": mostly(fc.constantFrom("7", "-1", "1e9")),
      "ce-eventname": mostly(fc.constantFrom("message", "connect")),
      "ce-specversion": mostly(fc.constant("1.0")),
      "ce-awpsversion": mostly(fc.constant("1.0")),
      "ce-connectionstate": mostly(state),
      "ce-subprotocol": mostly(fc.constantFrom("v12.stomp", "mqtt")),
      "ce-physicalconnectionid": fc.option(garbage, { nil: undefined, freq: 3 }),
      "webhook-request-origin": mostly(fc.constantFrom("chat.webpubsub.azure.com", "*", "a,b")),
      "content-type": mostly(
        fc.constantFrom(
          "text/plain; charset=utf-8",
          "application/octet-stream",
          "application/json",
          "text/html",
          ";",
        ),
      ),
      traceparent: fc.option(garbage, { nil: undefined }),
    }),
    body,
    more: fc.dictionary(garbage, garbage, { maxKeys: 3 }),
  })
  .map(({ method, signing, connectionId, signature, headers, body, more }) => {
    const given = {
      own: signatureOf(connectionId),
      "own among others": `${signatureOf("another")} ,${signatureOf(connectionId)}`,
      "another's": signatureOf(`${connectionId}x`),
      garbage: signature,
      none: undefined,
    }[signing];
    const all = { ...more, ...headers, "ce-connectionid": connectionId, "ce-signature": given };
    const present = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return {
      request: { method, headers: Object.fromEntries(present), body: Buffer.from(body as string) },
      isSigned: signing.startsWith("own") && connectionId !== "",
    };
  });

/** Every call has an answer that can be sent, and what isn't the service's gets no further. */
async function holds({ request, isSigned }: { request: UpstreamRequest; isSigned: boolean }): Promise<void> {
  called = [];
  const { status, headers, body: text } = await upstream(request);
  expect([200, 204, 400, 401, 403, 409, 500]).toContain(status);
  for (const [name, value] of Object.entries(headers)) expect(`${name}: ${value}`).toMatch(/^[\x20-\x7e]+$/);
  expect(["string", "undefined"]).toContain(typeof text);
  expect(called.length).toBeLessThanOrEqual(1);
  const isAdmitted = request.method === "POST" && isSigned;
  if (!isAdmitted) expect(called).toEqual([]);
  if (request.method === "POST") expect(status === 401).toBe(!isSigned);
}

const event = (type: string, headers: object, text: string, isSigned = true) => ({
  request: {
    method: "POST",
    headers: {
      "ce-id": "1",
      "ce-type": `azure.webpubsub.${type}`,
      "ce-hub": "chat",
      "ce-awpsversion": "1.0",
      "ce-connectionid": "conn-1",
      "ce-signature": signatureOf(isSigned ? "conn-1" : "conn-2"),
      "webhook-request-origin": "chat.webpubsub.azure.com",
      "content-type": "text/plain",
      ...headers,
    } as Record<string, string>,
    body: Buffer.from(text),
  },
  isSigned,
});

const examples: [ReturnType<typeof event>][] = [
  [event("sys.connect", {}, "null")],
  [event("sys.connect", {}, '{"query":null,"headers":null,"subprotocols":null}')],
  [event("sys.connect", {}, '{"headers":{"authorization":"not a list"},"query":{"token":5}}')],
  [
    event(
      "sys.connect",
      { "ce-connectionstate": base64('{"__proto__":{"polluted":1}}') },
      '{"query":{"token":["a"]}}',
    ),
  ],
  [event("sys.connect", { "ce-subprotocol": "mqtt", "ce-physicalconnectionid": "x" }, "{}")],
  [event("sys.connected", {}, "")],
  [event("sys.connected", { "ce-connectionstate": "bnVsbA==" }, "{}")],
  [event("sys.disconnected", { "ce-connectionstate": "%%%" }, "[")],
  [event("user.message", { "ce-connectionstate": base64('{"__proto__":1,"constructor":2}') }, "odd")],
  [event("user.message", { "content-type": "application/json" }, "{")],
  [event("user.message", { "content-type": ";" }, "x")],
  [event("user.message", { "ce-connectionstate": base64("5") }, "x")],
  [event("user.message", {}, "x", false)],
];

test("whatever is called is answered, and reaches a handler only if the service has signed it", async () => {
  await fc.assert(fc.asyncProperty(requests, holds), { ...cases, examples });
  const reached = new Set<string>();
  for (const one of fc.sample(requests, { seed: cases.seed, numRuns: 1_000 })) {
    await holds(one);
    for (const name of called) reached.add(name);
  }
  // Else it would prove little.
  expect([...reached].sort()).toEqual(["connect", "connected", "disconnected", "message"]);
});

test("many at once are each answered as they would be alone", async () => {
  const all = fc.sample(requests, { seed: cases.seed + 1, numRuns: 300 });
  const alone = [];
  for (const { request } of all) alone.push(await upstream(request));
  expect(await Promise.all(all.map(({ request }) => upstream(request)))).toEqual(alone);
});

test("nothing is kept of what was called", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const all = fc.sample(requests, { seed: cases.seed + 2, numRuns: 300 });
  const callAll = async (rounds: number): Promise<number> => {
    for (let round = 0; round < rounds; round += 1) {
      for (const { request } of all) await upstream(request);
      called = [];
    }
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    return process.memoryUsage().heapUsed;
  };
  const before = await callAll(5);
  const after = await callAll(50);
  // 15,000 calls: a kilobyte kept of each would be 15 MB.
  expect(after - before).toBeLessThan(10 * 1_024 * 1_024);
});
