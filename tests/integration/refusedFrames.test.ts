import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { CommandDeps } from "../../shared/commands/command.js";
import { handleMessage } from "../../shared/commands/dispatch.js";
import type { Connection } from "../../shared/connections/connection.js";
import { ChatError } from "../../shared/platform/errors.js";
import type { Database } from "../../shared/store/database.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { commandDeps } from "../fakes/commandDeps.js";
import { FakeEventBus } from "../fakes/eventBus.js";
import { FakeSessionStore } from "../fakes/sessionStore.js";
import { newDatabase } from "../support/database.js";

const HUB = "chat-messages";
const READS = "chat-read-events";

let database: Database;
let closeDatabase: () => Promise<void>;
let bus: FakeEventBus;
let broadcaster: FakeBroadcaster;
let deps: CommandDeps;

beforeAll(async () => {
  ({ database, close: closeDatabase } = await newDatabase());
});
afterAll(() => closeDatabase());
/**
 * The user 7 is a member of room 1. Of room 2 the cache says no, and MySQL, which is asked once more, says
 * so, too.
 */
beforeEach(async () => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  bus = new FakeEventBus({ [HUB]: 1, [READS]: 1 });
  broadcaster = new FakeBroadcaster();
  const redis = new FakeSessionStore();
  await redis.putMembers(1, [7, 8], "0");
  await redis.putMembers(2, [8], "0");
  deps = commandDeps({ database, bus, broadcaster, redis });
});
afterEach(() => vi.restoreAllMocks());

const NOWHERE = new Map<string, string>();
const ON_ERRORS = new Map([["errors", "e7"]]);

const connectionWith = (subscriptions: ReadonlyMap<string, string>): Connection => ({
  connectionId: "conn-1",
  userId: 7,
  // Counted before; else its first frame would have it counted.
  state: { version: "1.2", expiresAt: Date.now() / 1_000 + 3_600, order: 1, subscriptions },
});

const handle = (data: string, subscriptions = ON_ERRORS, eventId = "1") =>
  handleMessage({ data: Buffer.from(data), eventId }, connectionWith(subscriptions), deps);

const frameTo = (destination: string, payload: object, receipt: string): string =>
  `SEND\ndestination:${destination}\nreceipt:${receipt}\n\n${JSON.stringify(payload)}\0`;
const message = (roomId: number, receipt: string): string =>
  frameTo("/pub/chat/message", { roomId, content: receipt, clientMessageId: 5 }, receipt);
const read = (roomId: number, receipt: string): string =>
  frameTo("/pub/chat/read", { roomId, messageId: 5 }, receipt);

/** All frames of an answer: those that went before it by REST, too. */
const heard = ({ text = "" }: { readonly text?: string }): string[] =>
  (
    broadcaster.sent
      .splice(0)
      .map((sent) => sent.text)
      .join("") + text
  )
    .split("\0")
    .slice(0, -1);
const bodyOf = (frame = ""): Record<string, unknown> => JSON.parse(frame.slice(frame.indexOf("\n\n") + 2));
const published = (hub: string) =>
  bus.hubs.get(hub)!.partitions[0]!.map(({ body }) => JSON.parse(Buffer.from(body).toString()).roomId);

describe.each([
  ["message", HUB, message, { clientMessageId: 5 }],
  ["read", READS, read, {}],
] as const)("a %s for a room that the user is not in", (_what, hub, frameFor, more) => {
  test("is refused, and names the room", async () => {
    const [frame, ...others] = heard(await handle(frameFor(2, "r")));
    expect(others).toEqual([]);
    expect(frame).toMatch(/^MESSAGE\nsubscription:errors\nreceipt-id:r\n/);
    const { message: _, ...rest } = bodyOf(frame);
    expect(rest).toEqual({ type: "ERROR", code: "NOT_A_MEMBER", roomId: 2, ...more });
    expect(broadcaster.closed).toEqual([]);
    expect(published(hub)).toEqual([]);
  });

  test("keeps those around it from nothing", async () => {
    const answer = await handle(frameFor(1, "a") + frameFor(2, "b") + frameFor(1, "c"));
    expect(published(hub)).toEqual([1, 1]);
    const [first, refusal, last] = heard(answer);
    expect([first, last]).toEqual(["RECEIPT\nreceipt-id:a\n\n", "RECEIPT\nreceipt-id:c\n\n"]);
    expect(bodyOf(refusal)).toMatchObject({ code: "NOT_A_MEMBER", roomId: 2 });
  });

  test.each([
    ["does not listen for errors", NOWHERE],
    ["listens on another user's queue for errors", new Map([["errors", "e77"]])],
  ])("closes the connection of a client that %s", async (_how, subscriptions) => {
    const [error] = heard(await handle(frameFor(2, "r"), subscriptions));
    expect(error).toMatch(/^ERROR\nreceipt-id:r\n/);
    expect(bodyOf(error)).toMatchObject({ code: "NOT_A_MEMBER", roomId: 2 });
    expect(broadcaster.closed).toEqual(["conn-1"]);
    expect(published(hub)).toEqual([]);
  });
});

test("a SUBSCRIBE that came to nothing uses up none of its user's ids", async () => {
  const { joinGroup } = FakeBroadcaster.prototype;
  let refused = 0;
  broadcaster.joinGroup = async (id, group) => {
    if (refused++ < 8) throw new ChatError("UNAVAILABLE", "the socket service is away");
    await joinGroup.call(broadcaster, id, group);
  };
  for (let id = 0; id <= 8; id += 1) {
    const frame = `SUBSCRIBE\nid:${id}\ndestination:/user/queue/rooms\nreceipt:r\n\n\0`;
    const answer = await handle(frame, ON_ERRORS, String(id));
    expect(answer.text).toMatch(id < 8 ? /"code":"UNAVAILABLE"/ : /^RECEIPT\n/);
  }
});
