import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { haveOneHiddenClass } from "../../tests/support/hiddenClass.js";
import type { UpstreamAnswer } from "./answer.js";
import type { UpstreamHandlers } from "./events.js";
import { type ReceivedRequest, throughMiddleware } from "./middleware.js";
import { answerUserEvent } from "./userEvent.js";

// What is decoded here must be decoded as `@azure/web-pubsub-express` does it.

let got: unknown[] = [];
const never = async (): Promise<never> => {
  throw new Error("not a message");
};
const handlers: UpstreamHandlers = {
  connect: never,
  connected: never,
  disconnected: never,
  async message(event) {
    // The middleware changes the state that it has handed over.
    got.push({ ...event, state: structuredClone(event.state) });
    const { data, state } = event;
    if (data.length % 4 === 3) return { state, drop: true };
    return {
      ...(data.length % 2 === 0 && { text: Buffer.from(data).toString("latin1") }),
      state: data.length % 3 === 0 ? state : { ...state, seen: data.length },
    };
  },
};

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64");

const REQUEST: ReceivedRequest = {
  method: "POST",
  headers: {
    "ce-awpsversion": "1.0",
    "webhook-request-origin": "chat.webpubsub.azure.com",
    "ce-type": "azure.webpubsub.user.message",
    "ce-hub": "chat",
    "ce-id": "1",
    "ce-connectionid": "one",
    "ce-userid": "7",
    "ce-connectionstate": encoded({ v: "1.2", n: "비" }),
    "content-type": "text/plain; charset=utf-8",
  },
  body: Buffer.from("SEND\n\n\0"),
};

/** What the answer says, whatever the order in which the state's members stand. */
function meaning({ status, headers, body }: UpstreamAnswer): object {
  const { "ce-connectionstate": state, ...others } = headers;
  const text = body === undefined ? undefined : Buffer.from(body).toString();
  return {
    status,
    headers: others,
    text,
    ...(state && { state: JSON.parse(Buffer.from(state, "base64").toString()) }),
  };
}

async function expectTheSame(request: ReceivedRequest): Promise<void> {
  got = [];
  const ours = await answerUserEvent("Chat", request, handlers);
  if (!ours) return;
  const event = got;
  got = [];
  const theirs = await throughMiddleware("Chat", request, handlers);
  expect(meaning(ours)).toEqual(meaning(theirs));
  expect(event).toEqual(got);
}

test("a client's message is taken, with what the service says of its connection", async () => {
  got = [];
  const answer = await answerUserEvent("chat", REQUEST, handlers);
  expect(got).toEqual([
    { connectionId: "one", userId: "7", eventId: "1", state: { v: "1.2", n: "비" }, data: REQUEST.body },
  ]);
  expect(meaning(answer!)).toEqual({ status: 409, headers: {}, text: "the connection has ended" });
});

test("messages have one hidden class", async () => {
  const made: object[] = [];
  const keep = { ...handlers, message: async (event: object) => void made.push(event) as never };
  const take = async (): Promise<object> => {
    await answerUserEvent("chat", REQUEST, keep)?.catch(() => {});
    return made.pop()!;
  };
  expect(await haveOneHiddenClass(take)).toBe(true);
});

test.each([
  ["a handshake", { "ce-type": "azure.webpubsub.sys.connect" }],
  ["an end", { "ce-type": "azure.webpubsub.sys.disconnected" }],
  ["another hub's", { "ce-hub": "other" }],
  ["a call without its origin", { "webhook-request-origin": undefined }],
  ["JSON", { "content-type": "application/json" }],
  ["a state that is none", { "ce-connectionstate": encoded([1]) }],
  ["a state that can't be read", { "ce-connectionstate": "%%%" }],
])("%s is left to the middleware", async (_what, headers) => {
  const request = { ...REQUEST, headers: { ...REQUEST.headers, ...headers } } as ReceivedRequest;
  expect(answerUserEvent("chat", request, handlers)).toBeUndefined();
});

test("whatever is taken is answered as by the middleware", async () => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  const value = fc.oneof(
    fc.string({ maxLength: 8 }),
    fc.constantFrom("chat", "CHAT", "text/plain", " text/plain ;x", "application/octet-stream", "", "7"),
  );
  const state = fc.oneof(
    fc.constant(undefined),
    fc.dictionary(fc.constantFrom("v", "n", "seen", "constructor"), fc.jsonValue()).map(encoded),
    fc.jsonValue().map(encoded),
    fc.string({ maxLength: 8 }),
  );
  const changes = fc.dictionary(fc.constantFrom(...Object.keys(REQUEST.headers), "traceparent"), value, {
    maxKeys: 2,
  });
  await fc.assert(
    fc.asyncProperty(
      changes,
      state,
      fc.uint8Array({ maxLength: 40 }),
      async (changed, connectionState, body) => {
        const headers: Record<string, string> = { ...REQUEST.headers, ...changed };
        if (connectionState === undefined) delete headers["ce-connectionstate"];
        else headers["ce-connectionstate"] = connectionState;
        await expectTheSame({ method: "POST", headers, body: Buffer.from(body) });
      },
    ),
    { numRuns: 1_000, seed: 7 },
  );
  vi.restoreAllMocks();
});
