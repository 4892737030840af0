import type { RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ReceivedEvent } from "../../shared/bus/eventBus.js";
import { catchUp } from "../../shared/consumers/catchUp.js";
import { rewind } from "../../shared/consumers/timeline.js";
import type { MessagesDeps } from "../../shared/messages/deps.js";
import { listMessages } from "../../shared/messages/list.js";
import { storeMessages } from "../../shared/messages/store.js";
import { ChatError } from "../../shared/platform/errors.js";
import { createReadMerger, type ReadMerger } from "../../shared/reads/merge.js";
import { portsOf } from "../../shared/redis/ports.js";
import { createGroupRoom } from "../../shared/rooms/createRooms.js";
import type { Database } from "../../shared/store/database.js";
import { insertMembers } from "../../shared/store/members.js";
import { findPosition } from "../../shared/store/streamPositions.js";
import { addSubscriptionId } from "../../shared/store/subscriptionIds.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { changed } from "../fakes/changed.js";
import { FakeEventBus } from "../fakes/eventBus.js";
import { FakeSessionStore } from "../fakes/sessionStore.js";
import { newDatabase } from "../support/database.js";

type StoreDeps = MessagesDeps & { readonly readMerger: ReadMerger };

const HUB = "chat-messages";
const DEAD = "chat-messages-dlt";
/** For retries that must succeed at last. */
const LONG_MS = 600_000;

let database: Database;
let closeDatabase: () => Promise<void>;
let bus: FakeEventBus;
let broadcaster: FakeBroadcaster;
let deps: StoreDeps;
let roomId: number;
let hubAge = 0;

beforeAll(async () => {
  ({ database, close: closeDatabase } = await newDatabase());
});
afterAll(() => closeDatabase());

beforeEach(async () => {
  bus = new FakeEventBus({ [HUB]: 1, [DEAD]: 1 });
  // Each test has a hub of its own creation time, and so positions of its own.
  hubAge += 2;
  for (let times = 0; times < hubAge; times += 1) bus.makeHub(HUB, 1);
  broadcaster = new FakeBroadcaster();
  const sessions = new FakeSessionStore();
  const readMerger = createReadMerger({ database, broadcaster, now: Date.now, ...portsOf(sessions) });
  deps = {
    database,
    bus,
    broadcaster,
    ...portsOf(sessions),
    readMerger,
    scheduleReads: readMerger.schedule,
    now: Date.now,
    retryBudgetMs: LONG_MS,
  };
  ({ roomId } = await createGroupRoom({ roomName: "room", userIds: [2, 3], callerId: 1 }, deps));
  await addSubscriptionId(database, `r${roomId}`, "sub-0");
});

let events = 0;
const sent = (more: object = {}): object => ({
  v: 1,
  eventId: `event-${++events}`,
  roomId,
  senderId: 1,
  senderNickname: "Ann",
  clientMessageId: null,
  type: "TEXT",
  content: `message ${events}`,
  sentAt: "2026-01-02T03:04:05.678Z",
  ...more,
});

const put = (event: object | string): ReceivedEvent =>
  bus.append(HUB, "0", typeof event === "string" ? event : JSON.stringify(event), String(roomId));

const deliver = (batch: readonly ReceivedEvent[], with_: Partial<StoreDeps> = {}): Promise<void> =>
  storeMessages({ hub: HUB, partitionId: "0", events: batch }, { ...deps, ...with_ });

/** What can't be done is tried for half a second. */
const inVain = (batch: readonly ReceivedEvent[], with_: Partial<StoreDeps> = {}): Promise<void> =>
  expect(deliver(batch, { ...with_, retryBudgetMs: 500 })).rejects.toMatchObject({ code: "UNAVAILABLE" });

const stored = async (): Promise<[seq: number, content: string][]> => {
  const { messages } = await listMessages({ roomId, after: 0, limit: 100, callerId: 1 }, { database });
  return messages.map(({ seq, content }) => [seq, content]);
};

const frames = (): string[] => broadcaster.sent.flatMap(({ text }) => text.split("\0").slice(0, -1));
const shownSeqs = (): number[] =>
  frames()
    .filter((frame) => frame.startsWith("MESSAGE"))
    .map((frame) => JSON.parse(frame.slice(frame.indexOf("\n\n") + 2)).seq);
const deadLetters = () =>
  bus.hubs.get(DEAD)!.partitions[0]!.map(({ body }) => JSON.parse(Buffer.from(body).toString()));

describe("a batch", () => {
  test("is stored in order, numbered from 1, and shown in one send each, or in one for those who take several", async () => {
    await addSubscriptionId(database, `r${roomId}`, "own\\cid", true);
    await deliver([
      put(sent({ content: "a" })),
      put(sent({ content: "b", senderId: 2 })),
      put(sent({ content: "c" })),
    ]);
    expect(await stored()).toEqual([
      [1, "a"],
      [2, "b"],
      [3, "c"],
    ]);
    const sends = broadcaster.sent.map(({ to, text }) => `${to} ${text.split("\0").length - 1}`);
    expect(sends.sort()).toEqual([...[1, 2, 3].map(() => `r${roomId}:sub-0 1`), `r${roomId}p:~b3duXGNpZA 3`]);
    expect(shownSeqs().sort()).toEqual([1, 1, 2, 2, 3, 3]);
  });

  test("delivered twice is stored once and shown once", async () => {
    const batch = [put(sent()), put(sent())];
    await deliver(batch);
    await deliver(batch);
    expect(await stored()).toHaveLength(2);
    expect(shownSeqs()).toEqual([1, 2]);
  });

  test("of a hub that was deleted meanwhile is left out, though its numbers fit the new one", async () => {
    const old = [
      put(sent({ content: "old 0" })),
      put(sent({ content: "old 1" })),
      put(sent({ content: "old 2" })),
    ];
    await deliver([old[0]!]);
    bus.makeHub(HUB, 1);
    const [first, second, third] = [
      put(sent({ content: "new 0" })),
      put(sent({ content: "new 1" })),
      put(sent({ content: "new 2" })),
    ];
    await deliver(old);
    expect((await stored()).map(([, content]) => content)).toEqual(["old 0"]);
    await deliver([first]);
    await deliver(old.slice(1));
    await deliver([second, third]);
    expect((await stored()).map(([, content]) => content)).toEqual(["old 0", "new 0", "new 1", "new 2"]);
  });

  test("of a hub that was deleted, behind the end of the new one, is left out and holds up nothing", async () => {
    const old = [0, 1, 2, 3].map((index) => put(sent({ content: `old ${index}` })));
    await deliver([old[0]!]);
    bus.makeHub(HUB, 1);
    const first = put(sent({ content: "new 0" }));
    await deliver([first]);
    await deliver(old.slice(2));
    await deliver([put(sent({ content: "new 1" }))]);
    expect((await stored()).map(([, content]) => content)).toEqual(["old 0", "new 0", "new 1"]);
  });

  test("behind numbers without an event goes on there, as the bus tells that they are absent", async () => {
    await deliver([put(sent({ content: "a" }))]);
    const marks = [put("mark"), put("mark")].map((event) => ({ ...event, absent: true as const }));
    const readRange = async (_hub: string, _id: string, from: number, to: number) =>
      marks.filter(({ sequenceNumber }) => sequenceNumber >= from && sequenceNumber <= to);
    await deliver([put(sent({ content: "b" }))], { bus: changed(bus, { readRange }) });
    expect(await stored()).toEqual([
      [1, "a"],
      [2, "b"],
    ]);
    expect(deadLetters()).toEqual([]);
    expect(shownSeqs()).toEqual([1, 2]);
  });

  test("that overlaps the one before stores only what is new", async () => {
    const [a, b, c] = [put(sent()), put(sent()), put(sent())];
    await deliver([a, b]);
    await deliver([b, c]);
    expect((await stored()).map(([seq]) => seq)).toEqual([1, 2, 3]);
    expect(shownSeqs()).toEqual([1, 2, 3]);
  });

  test("with a gap in it is completed from the hub, in order", async () => {
    const [a, , c, d, , , g] = ["a", "b", "c", "d", "e", "f", "g"].map((content) => put(sent({ content })));
    await deliver([a!, c!, d!, g!]);
    expect((await stored()).map(([, content]) => content).join("")).toBe("abcdefg");
    expect(shownSeqs()).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  test("delivered to two instances at once is stored once", async () => {
    const batch = Array.from({ length: 20 }, () => put(sent()));
    await Promise.all([deliver(batch), deliver(batch), deliver(batch.slice(0, 10))]);
    expect((await stored()).map(([seq]) => seq)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
  });

  test.each([1, 3])(
    "is shown with the ids that its messages got, also where they go in steps of %i",
    async (step) => {
      const stepping = changed(database, {
        async getConnection() {
          const connection = await database.getConnection();
          await connection.query(`SET SESSION auto_increment_increment = ${step}`);
          return connection;
        },
      });
      const [one, other] = await Promise.all(
        [0, 1].map(() => createGroupRoom({ roomName: "other", userIds: [2], callerId: 1 }, deps)),
      );
      const partition = (room: number, partitionId: string) => ({
        hub: HUB,
        partitionId,
        events: Array.from({ length: 40 }, (_, index) =>
          bus.append(
            HUB,
            partitionId,
            JSON.stringify(sent({ roomId: index % 2 ? roomId : room })),
            String(room),
          ),
        ),
      });
      bus.makeHub(HUB, 2);
      for (const { roomId: room } of [one!, other!]) await addSubscriptionId(database, `r${room}`, "sub-0");
      await Promise.all(
        [partition(one!.roomId, "0"), partition(other!.roomId, "1")].map((batch) =>
          storeMessages(batch, { ...deps, database: stepping }),
        ),
      );
      const shown = frames().map((frame) => JSON.parse(frame.slice(frame.indexOf("\n\n") + 2)));
      const [rows] = await database.query<RowDataPacket[]>(
        "SELECT room_id AS roomId, seq, message_id AS messageId FROM messages WHERE room_id IN (?)",
        [[roomId, one!.roomId, other!.roomId]],
      );
      const places = (all: readonly object[]): string[] =>
        all
          .map((each) =>
            JSON.stringify(Object.values({ roomId: 0, seq: 0, messageId: 0, ...each }).slice(0, 3)),
          )
          .sort();
      expect(shown).toHaveLength(80);
      expect(places(shown)).toEqual(places(rows));
    },
  );

  test("keeps emoji, quotes, NULs and JSON look-alikes as they were", async () => {
    const content = '😀 \u0000 "quoted" \\c \\n {"v":1} 한국어\n\ttab';
    await deliver([put(sent({ content }))]);
    expect(await stored()).toEqual([[1, content]]);
    expect(JSON.parse(frames()[0]!.slice(frames()[0]!.indexOf("\n\n") + 2)).content).toBe(content);
  });
});

describe("a repeat", () => {
  test.each([
    ["in one batch", true],
    ["in a later batch", false],
  ])("of a clientMessageId %s is stored and shown once", async (_name, together) => {
    await addSubscriptionId(database, "e1", "errors");
    const again = { clientMessageId: "one", content: "once" };
    const batch = [put(sent(again)), put(sent({ ...again, sentAt: "2026-01-02T03:04:06.000Z" }))];
    if (together) await deliver(batch);
    else for (const event of batch) await deliver([event]);
    expect(await stored()).toHaveLength(1);
    // Nobody hears of the repeat.
    expect(frames()).toHaveLength(1);
    expect(shownSeqs()).toEqual([1]);
    expect(deadLetters()).toEqual([]);
  });

  test("of an event without clientMessageId is known by its event id", async () => {
    const twice = sent();
    await deliver([put(twice), put(twice)]);
    expect(await stored()).toHaveLength(1);
  });

  test.each([
    ["another sender", { senderId: 2, clientMessageId: "one" }],
    ["a number that looks like the string", { clientMessageId: 1 }],
    ["another case", { clientMessageId: "ONE" }],
    ["a trailing space", { clientMessageId: "one " }],
  ])("is not what comes from %s", async (_name, other) => {
    await deliver([
      put(sent({ clientMessageId: "one" })),
      put(sent({ clientMessageId: "1" })),
      put(sent(other)),
    ]);
    expect(await stored()).toHaveLength(3);
  });
});

describe("a clientMessageId that its sender has used for another message", () => {
  const errors = (): object[] =>
    broadcaster.sent
      .filter(({ to }) => to === "e1:errors")
      .flatMap(({ text }) => text.split("\0").slice(0, -1))
      .map((frame) => JSON.parse(frame.slice(frame.indexOf("\n\n") + 2)));
  const reused = (clientMessageId: string | number): object => ({
    type: "ERROR",
    code: "CLIENT_MESSAGE_ID_REUSED",
    message: expect.any(String),
    roomId,
    clientMessageId,
  });
  const inBatches = async (batch: readonly ReceivedEvent[], together: boolean): Promise<void> => {
    if (together) await deliver(batch);
    else for (const event of batch) await deliver([event]);
  };

  test.each([
    ["content", true, { content: "from the tablet" }],
    ["content", false, { content: "from the tablet" }],
    ["type", true, { type: "IMAGE" }],
    ["type", false, { type: "IMAGE" }],
    ["case alone", true, { content: "HTTPS://EXAMPLE.ORG/A" }],
    ["a space at the end", false, { content: "https://example.org/a " }],
  ])(
    "is refused with another %s (in one batch: %s), and those around it are stored",
    async (_what, together, other) => {
      await addSubscriptionId(database, "e1", "errors");
      const first = { clientMessageId: 1, content: "https://example.org/a" };
      await inBatches(
        [put(sent(first)), put(sent({ ...first, ...other })), put(sent({ content: "behind" }))],
        together,
      );
      expect((await stored()).map(([, content]) => content)).toEqual([first.content, "behind"]);
      expect(errors()).toEqual([reused(1)]);
      expect(deadLetters()).toMatchObject([
        { sequenceNumber: 1, key: String(roomId), error: { code: "CLIENT_MESSAGE_ID_REUSED" } },
      ]);
    },
  );

  test("is refused each time, and a true repeat of the first is dropped still", async () => {
    await addSubscriptionId(database, "e1", "errors");
    const [phone, tablet] = [
      { clientMessageId: "1", content: "phone" },
      { clientMessageId: "1", content: "tablet" },
    ];
    await deliver([phone, tablet, phone, tablet, phone].map((one) => put(sent(one))));
    expect(await stored()).toEqual([[1, "phone"]]);
    expect(errors()).toEqual([reused("1"), reused("1")]);
  });

  test("is told the same where showing was interrupted and is done again", async () => {
    await addSubscriptionId(database, "e1", "errors");
    await deliver([put(sent({ clientMessageId: "old", content: "phone" }))]);
    broadcaster.sent.length = 0;
    const at = (second: number) => ({ sentAt: `2026-01-03T00:00:0${second}.000Z` });
    const batch = [
      put(sent({ clientMessageId: "old", content: "tablet", ...at(1) })),
      put(sent({ clientMessageId: "new", content: "phone", ...at(2) })),
      put(sent({ clientMessageId: "new", content: "tablet", ...at(2) })),
      put(sent({ clientMessageId: "new", content: "phone", ...at(3) })),
    ];
    broadcaster.away = true;
    await inVain(batch);
    broadcaster.away = false;
    await deliver(batch);
    expect(shownSeqs().filter((seq) => seq !== undefined)).toEqual([2]);
    expect(errors()).toEqual([reused("old"), reused("new")]);
    expect(deadLetters()).toHaveLength(2);
  });

  test("is not what was refused for another reason before", async () => {
    await addSubscriptionId(database, "e4", "errors");
    const mine = { senderId: 4, clientMessageId: "mine" };
    const early = put(sent({ ...mine, content: "too early" }));
    broadcaster.away = true;
    await inVain([early]);
    const at = { lastSeq: 0, lastMessageId: null, lastUncounted: 0, joinedSeq: 0 };
    await insertMembers(database, roomId, [4], new Date(), at, new Set());
    const late = put(sent({ ...mine, content: "in time", sentAt: "2026-01-04T00:00:00.000Z" }));
    await inVain([late]);
    broadcaster.away = false;
    await deliver([put(sent())]);
    const told = broadcaster.sent.filter(({ to }) => to === "e4:errors").map(({ text }) => text);
    expect(told).toHaveLength(1);
    expect(told[0]).toContain('"code":"NOT_A_MEMBER"');
    expect((await stored()).map(([, content]) => content)).toContain("in time");
  });
});

describe("an event that can never be stored", () => {
  test.each([
    ["garbage bytes", "\u0001\u0002 not json", "INVALID_MESSAGE"],
    ["a foreign shape", '{"v":2}', "INVALID_MESSAGE"],
    ["a room that is gone", () => JSON.stringify(sent({ roomId: 999_999_999 })), "ROOM_NOT_FOUND"],
    ["a sender who is no member", () => JSON.stringify(sent({ senderId: 77 })), "NOT_A_MEMBER"],
  ])("%s goes to the dead-letter hub alone, and those around it are stored", async (_name, body, code) => {
    const poison = typeof body === "string" ? body : body();
    await deliver([put(sent({ content: "before" })), put(poison), put(sent({ content: "behind" }))]);
    expect(await stored()).toEqual([
      [1, "before"],
      [2, "behind"],
    ]);
    expect(deadLetters()).toMatchObject([
      {
        v: 1,
        key: String(roomId),
        hub: HUB,
        partitionId: "0",
        sequenceNumber: 1,
        error: { code },
        body: poison,
      },
    ]);
  });

  test("keeps bytes that are no text in base64", async () => {
    await deliver([bus.append(HUB, "0", Buffer.from([0xff, 0xfe, 0x00]))]);
    expect(deadLetters()).toMatchObject([{ key: "", bodyBase64: "//4A" }]);
  });

  test("which only the database refuses is found among the others", async () => {
    await database.query("ALTER TABLE messages MODIFY sender_nickname VARCHAR(20) NOT NULL");
    const impossible = sent({ senderNickname: "n".repeat(50) });
    await deliver([put(sent({ content: "a" })), put(impossible), put(sent({ content: "b" }))]);
    await database.query("ALTER TABLE messages MODIFY sender_nickname VARCHAR(100) NOT NULL");
    expect((await stored()).map(([, content]) => content)).toEqual(["a", "b"]);
    expect(deadLetters()).toMatchObject([{ sequenceNumber: 1, error: { code: "INVALID_MESSAGE" } }]);
  });

  test("is told to its sender on /user/queue/errors", async () => {
    await addSubscriptionId(database, "e78", "errors");
    await deliver([put(sent({ senderId: 78, clientMessageId: "mine" }))]);
    expect(broadcaster.sent.map(({ to }) => to)).toEqual(["e78:errors"]);
    expect(frames()[0]).toContain('"code":"NOT_A_MEMBER"');
    expect(frames()[0]).toContain('"clientMessageId":"mine"');
  });

  test("waits, and holds up its partition, while the dead-letter hub is away", async () => {
    const batch = [put(sent()), put("poison")];
    bus.hubs.delete(DEAD);
    await inVain(batch);
    expect(await stored()).toEqual([]);
    bus.makeHub(DEAD, 1);
    await deliver(batch);
    expect(await stored()).toHaveLength(1);
    expect(deadLetters()).toHaveLength(1);
  });
});

describe("a host that runs ahead of what is stored", () => {
  test("leaves a hole, which is read from the hub and stored first", async () => {
    const all = Array.from({ length: 10 }, (_, index) => put(sent({ content: `m${index}` })));
    await deliver(all.slice(0, 2));
    await deliver(all.slice(7));
    expect((await stored()).map(([, content]) => content)).toEqual(all.map((_, index) => `m${index}`));
    expect(shownSeqs()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test("leaves a hole before the very first batch, too", async () => {
    const all = Array.from({ length: 5 }, () => put(sent()));
    await deliver(all.slice(3));
    expect(await stored()).toHaveLength(5);
  });

  test("leaves a hole longer than what is read at once", async () => {
    const all = Array.from({ length: 1_203 }, () => put(sent()));
    await deliver(all.slice(1_202));
    const { messages } = await listMessages({ roomId, limit: 1, callerId: 1 }, { database });
    expect(messages[0]?.seq).toBe(1_203);
  });

  test("passes what the hub itself has lost, and goes on", async () => {
    const all = Array.from({ length: 6 }, (_, index) => put(sent({ content: `m${index}` })));
    await deliver(all.slice(0, 1));
    bus.cutBefore(HUB, "0", 3);
    await deliver(all.slice(4));
    expect((await stored()).map(([, content]) => content)).toEqual(["m0", "m3", "m4", "m5"]);
  });
});

describe("a hole of which the hub has lost much", () => {
  test("is given up only as far as retention has gone, however long it is", async () => {
    const all = Array.from({ length: 1_300 }, (_, index) => put(sent({ content: `m${index}` })));
    await deliver(all.slice(0, 1));
    bus.cutBefore(HUB, "0", 1_200);
    await deliver(all.slice(1_299));
    const contents = (await stored()).map(([, content]) => content);
    expect(contents).toEqual(["m0", ...Array.from({ length: 99 }, (_, index) => `m${1_200 + index}`)]);
  });

  test("waits for events that the hub has but does not show right now", async () => {
    const all = Array.from({ length: 4 }, () => put(sent()));
    await deliver(all.slice(0, 1));
    const blind = { bus: changed(bus, { readRange: async () => [] }) };
    await inVain(all.slice(3), blind);
    expect(await stored()).toHaveLength(1);
    await deliver(all.slice(3));
    expect(await stored()).toHaveLength(4);
  });
});

describe("a failure between storing and showing", () => {
  test("tells a refused sender when the batch comes again", async () => {
    await addSubscriptionId(database, "e77", "errors");
    const batch = [put(sent()), put(sent({ senderId: 77, clientMessageId: "mine" }))];
    broadcaster.away = true;
    await inVain(batch);
    broadcaster.away = false;
    await deliver(batch);
    expect(broadcaster.sent.map(({ to }) => to)).toEqual([`r${roomId}:sub-0`, "e77:errors"]);
    expect(frames()[1]).toContain('"clientMessageId":"mine"');
  });

  test.each([
    ["a room that is gone", { senderId: 77, roomId: 999_999_999 }],
    ["a sender who is no member", { senderId: 77 }],
  ])("tells the same of %s as if there had been none", async (_what, wrong) => {
    await addSubscriptionId(database, "e77", "errors");
    const told = (): string[] =>
      broadcaster.sent
        .filter(({ to }) => to === "e77:errors")
        .map(({ text }) => text.slice(text.indexOf("\n\n")));
    await deliver([put(sent({ ...wrong, clientMessageId: "mine" }))]);
    broadcaster.away = true;
    const again = [put(sent({ ...wrong, clientMessageId: "mine" }))];
    await inVain(again);
    broadcaster.away = false;
    await deliver(again);
    expect(told()).toHaveLength(2);
    expect(told()[1]).toBe(told()[0]);
  });

  test("does not show an old message again because of its repeat", async () => {
    const one = { clientMessageId: "one", content: "once" };
    await deliver([put(sent(one))]);
    broadcaster.sent.length = 0;
    const batch = [put(sent({ ...one, sentAt: "2026-01-03T00:00:00.000Z" })), put(sent())];
    broadcaster.away = true;
    await inVain(batch);
    broadcaster.away = false;
    await deliver(batch);
    expect(shownSeqs()).toEqual([2]);
  });

  test("after the log went back shows nothing again that was shown before that", async () => {
    const old = [put(sent()), put(sent())];
    await deliver(old);
    await goBack();
    broadcaster.away = true;
    const batch = [...old, put(sent()), put(sent())];
    await inVain(batch);
    broadcaster.away = false;
    await deliver(batch);
    expect(await stored()).toHaveLength(4);
    expect(shownSeqs()).toEqual([1, 2, 3, 4]);
  });

  test("before the log went back is made good, though some is shown twice", async () => {
    const old = [put(sent()), put(sent())];
    await deliver(old.slice(0, 1));
    broadcaster.away = true;
    await inVain(old);
    await goBack();
    const batch = [...old, put(sent())];
    await inVain(batch);
    broadcaster.away = false;
    await deliver(batch);
    expect(shownSeqs()).toEqual([1, 1, 2, 3]);
  });

  /** Puts the position before all events, as where another event stands under its number. */
  async function goBack(): Promise<void> {
    const stream = { hub: HUB, partitionId: "0", hubId: await bus.hubId(HUB) };
    const position = await findPosition(database, stream);
    await rewind(stream, position!, deps);
  }

  test("is made good when the batch comes again", async () => {
    const batch = [put(sent()), put(sent())];
    broadcaster.away = true;
    await inVain(batch);
    expect(await stored()).toHaveLength(2);
    broadcaster.away = false;
    await deliver(batch);
    expect(shownSeqs()).toEqual([1, 2]);
    expect(await stored()).toHaveLength(2);
  });

  test("is made good before the next batch when the host went on without it", async () => {
    const [a, b, c] = [put(sent()), put(sent()), put(sent())];
    broadcaster.away = true;
    await inVain([a, b]);
    broadcaster.away = false;
    await deliver([c]);
    expect(shownSeqs()).toEqual([1, 2, 3]);
  });
});

test("a hub that was made anew begins at 0 again and its events are not taken for old ones", async () => {
  await deliver([put(sent({ content: "old" })), put(sent({ content: "old too" }))]);
  bus.makeHub(HUB, 1);
  await deliver([put(sent({ content: "new" }))]);
  expect((await stored()).map(([, content]) => content)).toEqual(["old", "old too", "new"]);
});

test("a hub made anew whose first batch reaches past the old position loses none of its events", async () => {
  await deliver([put(sent({ content: "old 0" })), put(sent({ content: "old 1" }))]);
  const before = await bus.hubId(HUB);
  bus.makeHub(HUB, 1);
  let stale = true;
  const cached = async (hub: string, freshness?: "fresh") => {
    if (freshness === "fresh") stale = false;
    return stale ? before : bus.hubId(hub);
  };
  const late = { ...deps, bus: changed(bus, { hubId: cached }) };
  await deliver(
    Array.from({ length: 4 }, (_, index) => put(sent({ content: `new ${index}` }))),
    late,
  );
  expect((await stored()).map(([, content]) => content)).toEqual([
    "old 0",
    "old 1",
    "new 0",
    "new 1",
    "new 2",
    "new 3",
  ]);
});

test("a body that JSON would swell past an event's limit still becomes a dead letter", async () => {
  const event = bus.append(HUB, "0", Buffer.alloc(300_000, 1), "k");
  await deliver([event]);
  const [letter] = deadLetters();
  expect(letter).toMatchObject({ key: "k", sequenceNumber: 0 });
  expect(Buffer.from(letter.bodyBase64, "base64")).toEqual(Buffer.alloc(300_000, 1));
  expect(bus.hubs.get(DEAD)!.partitions[0]![0]!.body.length).toBeLessThan(1_048_576);
});

test("dead letters of a batch stand in the order of its events, and name the letters that they replay", async () => {
  const stranger = put(sent({ senderId: 99 }));
  const garbage = { ...bus.append(HUB, "0", "garbage", "k"), replayOf: "chat-messages-dlt/0/7" };
  await deliver([stranger, garbage]);
  expect(
    deadLetters().map(({ sequenceNumber, error, replayOf }) => [sequenceNumber, error.code, replayOf]),
  ).toEqual([
    [0, "NOT_A_MEMBER", undefined],
    [1, "INVALID_MESSAGE", "chat-messages-dlt/0/7"],
  ]);
});

test("a body that no single event could carry stands in several, whole", async () => {
  const body = Buffer.alloc(1_048_000, 0xfe);
  await deliver([bus.append(HUB, "0", body, "k")]);
  const letters = deadLetters();
  expect(letters).toMatchObject([
    { key: "k", sequenceNumber: 0, part: { number: 1, of: 2 } },
    { key: "k", sequenceNumber: 0, part: { number: 2, of: 2 } },
  ]);
  const parts = letters.map(({ bodyBase64 }) => Buffer.from(bodyBase64, "base64"));
  expect(Buffer.concat(parts).equals(body)).toBe(true);
  for (const event of bus.hubs.get(DEAD)!.partitions[0]!) expect(event.body.length).toBeLessThan(1_000_000);
});

test("a send that meets a full quota is repeated alone", async () => {
  await addSubscriptionId(database, `r${roomId}`, "other");
  let refusals = 2;
  const busy = changed(broadcaster, {
    sendToGroup: async (group: string, text: string) => {
      if (group.endsWith("other") && refusals-- > 0) throw new ChatError("UNAVAILABLE", "429");
      await broadcaster.sendToGroup(group, text);
    },
  });
  await deliver([put(sent())], { broadcaster: busy });
  expect(broadcaster.sent.map(({ to }) => to).sort()).toEqual([`r${roomId}:other`, `r${roomId}:sub-0`]);
});

test("a database connection lost in the middle is tried again within the budget", async () => {
  let failures = 2;
  const flaky = changed(database, {
    async getConnection() {
      const connection = await database.getConnection();
      if (failures > 0) {
        failures -= 1;
        connection.destroy();
      }
      return connection;
    },
  });
  await deliver([put(sent())], { database: flaky, retryBudgetMs: LONG_MS });
  expect(failures).toBe(0);
  expect(await stored()).toHaveLength(1);
});

test("sending reads the room up to the message, and never back", async () => {
  await deliver([put(sent()), put(sent({ senderId: 2 })), put(sent({ senderId: 3 }))]);
  const { messages } = await listMessages({ roomId, after: 0, callerId: 1, limit: 50 }, { database });
  expect(messages.map(({ unreadCount }) => unreadCount)).toEqual([0, 1, 2]);
});

describe("catching up with the hub itself", () => {
  const catchUpHere = (partitionId?: string, with_: Partial<StoreDeps> = {}): Promise<void> => {
    const all = { ...deps, retryBudgetMs: LONG_MS, ...with_ };
    return catchUp(HUB, partitionId, (batch) => storeMessages(batch, all), all);
  };
  const seqs = async (): Promise<number[]> => (await stored()).map(([seq]) => seq);
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

  test("stores and shows all that waits, more than is read at once, in order", async () => {
    await deliver([put(sent())]);
    for (let index = 0; index < 1_100; index += 1) put(sent());
    await catchUpHere("0");
    const [[row]] = await database.query<RowDataPacket[]>(
      "SELECT last_seq AS last FROM rooms WHERE room_id = ?",
      [roomId],
    );
    expect(row).toEqual({ last: 1_101 });
    expect(shownSeqs()).toEqual(numbers(1_101));
  });

  test("begins with the first event where nothing is stored yet, in every partition where none is named", async () => {
    bus.makeHub(HUB, 3);
    for (const partitionId of ["0", "1", "2"]) bus.append(HUB, partitionId, JSON.stringify(sent()), "key");
    await catchUpHere();
    expect(await seqs()).toEqual([1, 2, 3]);
  });

  test("looks into every partition where the one that is named is none of the hub's", async () => {
    bus.makeHub(HUB, 2);
    for (const partitionId of ["0", "1"]) bus.append(HUB, partitionId, JSON.stringify(sent()), "key");
    await catchUpHere("17");
    expect(await seqs()).toEqual([1, 2]);
  });

  test("notices at once that the hub was made anew", async () => {
    put(sent({ content: "old" }));
    // A known hub is not asked again for a while, unless a caller wants it fresh.
    let known = await bus.hubId(HUB);
    const remembering = changed(bus, {
      hubId: async (hub: string, freshness?: "fresh") => {
        if (freshness === "fresh") known = await bus.hubId(hub);
        return known;
      },
    });
    await catchUpHere("0", { bus: remembering });
    bus.makeHub(HUB, 1);
    put(sent({ content: "new" }));
    await catchUpHere("0", { bus: remembering });
    expect((await stored()).map(([, content]) => content)).toEqual(["old", "new"]);
  });

  test("goes on with the other partitions where one fails, and fails then", async () => {
    bus.makeHub(HUB, 3);
    for (const partitionId of ["0", "1", "2"]) bus.append(HUB, partitionId, JSON.stringify(sent()), "key");
    const torn = changed(bus, {
      readRange: async (hub: string, id: string, from: number, to: number, limit: number) => {
        if (id === "1") throw new ChatError("UNAVAILABLE", "no");
        return bus.readRange(hub, id, from, to, limit);
      },
    });
    await expect(catchUpHere(undefined, { bus: torn })).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(await seqs()).toEqual([1, 2]);
  });

  test("changes nothing where nothing waits, nor beside the trigger that stores the same", async () => {
    const batch = [put(sent()), put(sent())];
    await Promise.all([deliver(batch), catchUpHere("0"), catchUpHere()]);
    await catchUpHere("0");
    expect(await seqs()).toEqual([1, 2]);
    // In one process one waits for the other, so nothing is shown twice.
    expect(shownSeqs()).toEqual([1, 2]);
  });

  test("shows what was stored but not shown", async () => {
    const batch = [put(sent()), put(sent())];
    broadcaster.away = true;
    await inVain(batch);
    broadcaster.away = false;
    await catchUpHere("0");
    expect(shownSeqs()).toEqual([1, 2]);
  });

  test("goes on behind what retention has taken", async () => {
    await deliver([put(sent())]);
    put(sent());
    put(sent({ content: "kept" }));
    bus.cutBefore(HUB, "0", 2);
    await catchUpHere("0");
    expect((await stored()).map(([, content]) => content).slice(1)).toEqual(["kept"]);
  });

  test("fails when the hub is away or its time is over, so that it is tried again", async () => {
    put(sent());
    bus.away = true;
    await expect(catchUpHere("0")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    bus.away = false;
    let now = 0;
    await expect(catchUpHere("0", { now: () => (now += 1_000), retryBudgetMs: 500 })).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
    await catchUpHere("0");
    expect(await seqs()).toEqual([1]);
  });
});
