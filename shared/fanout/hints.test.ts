import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FakeBroadcaster } from "../../tests/fakes/broadcaster.js";
import type { RoomListChange } from "../frames/roomList.js";
import { ChatError } from "../platform/errors.js";
import type { Database } from "../store/database.js";
import { giveHints } from "./hints.js";

const NOW = 1_767_323_045_678;

let broadcaster: FakeBroadcaster;
/** The subscription ids of each destination. */
let ids: Map<string, readonly string[]>;
/** How many destinations each query asked for. */
let asked: number[];

const database = {
  query: async (_sql: string, [destinations]: [Buffer[]]) => {
    asked.push(destinations.length);
    const rows = destinations.flatMap((destination) =>
      (ids.get(destination.toString()) ?? []).map((id) => ({
        destination,
        subscription_id: Buffer.from(id),
      })),
    );
    return [rows, []];
  },
} as unknown as Database;

/** Tells users of changes of room 5. */
const tell = (
  changes: ReadonlyMap<number, RoomListChange>,
  more: Partial<Record<"database", Database>> = {},
): Promise<void> =>
  giveHints(
    [...changes].map(([userId, change]) => ({ userIds: [userId], roomId: 5, change })),
    { database, broadcaster, now: () => NOW, ...more },
  );

const users = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
const by = { userId: 9, nickname: "Ann" };
/** Users 1, 2, … have become members. */
const addedTo = (count: number): ReadonlyMap<number, RoomListChange> => {
  const change = { type: "ROOM_ADDED", roomName: "Team", by } as const;
  return new Map(users(count).map((user) => [user, change]));
};

beforeEach(() => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  broadcaster = new FakeBroadcaster();
  ids = new Map();
  asked = [];
});
afterEach(() => vi.restoreAllMocks());

const frame = (id: string, type: string, more: string): string => {
  const body = `{"type":"${type}","roomId":5,${more}"timestamp":${NOW}}`;
  return (
    `MESSAGE\nsubscription:${id}\ndestination:/user/queue/rooms\nmessage-id:${type}-5-${NOW}\n` +
    `content-type:application/json\ncontent-length:${body.length}\n\n${body}\0`
  );
};

test("each subscription id of a user's queue has a frame of its own; who doesn't listen costs no send", async () => {
  ids.set("q1", ["sub-3", "own\\cid"]).set("q2", ["sub-3"]).set("e3", ["sub-3"]).set("q4", ["sub-3"]);
  await tell(
    new Map([
      [1, { type: "ROOM_ADDED", roomName: "Team", by }],
      [2, { type: "ROOM_REMOVED" }],
      [3, { type: "ROOM_ADDED", roomName: "Team", by }],
      [4, { type: "ROOM_RENAMED", roomName: "Others", by }],
    ]),
  );
  const told = broadcaster.sent.map(({ to, text }) => [to, text] as const);
  const cause = '"by":{"userId":9,"nickname":"Ann"},';
  expect(new Map(told)).toEqual(
    new Map([
      ["q1:sub-3", frame("sub-3", "ROOM_ADDED", `"roomName":"Team",${cause}`)],
      ["q2:sub-3", frame("sub-3", "ROOM_REMOVED", "")],
      ["q4:sub-3", frame("sub-3", "ROOM_RENAMED", `"roomName":"Others",${cause}`)],
      ["q1:~b3duXGNpZA", frame("own\\cid", "ROOM_ADDED", `"roomName":"Team",${cause}`)],
    ]),
  );
  expect(told).toHaveLength(4);
});

test("nobody's change asks nothing", async () => {
  await tell(new Map());
  expect(asked).toEqual([]);
});

test("users are looked up 500 by a query and told 16 at a time, of these one id of each before the second of any", async () => {
  for (const user of users(501)) ids.set(`q${user}`, user === 1 ? ["a", "b", "c"] : ["a"]);
  let [now, most] = [0, 0];
  broadcaster.sendToGroup = async (to, text) => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setImmediate(resolve));
    now -= 1;
    broadcaster.sent.push({ to, text });
  };
  await tell(addedTo(501));
  expect(asked).toEqual([500, 1]);
  expect(most).toBe(16);
  expect(broadcaster.sent).toHaveLength(503);
  expect(
    broadcaster.sent
      .slice(500, 502)
      .map(({ to }) => to)
      .toSorted(),
  ).toEqual(["q1:b", "q1:c"]);
});

describe("it never fails:", () => {
  test("a socket service that is away is tried a few times only", async () => {
    for (const user of users(501)) ids.set(`q${user}`, ["a"]);
    let tries = 0;
    broadcaster.sendToGroup = async () => {
      tries += 1;
      throw new ChatError("UNAVAILABLE", "away");
    };
    await tell(addedTo(501));
    // Sixteen are begun at once, and at most two more before three have failed.
    expect(tries).toBeGreaterThanOrEqual(16);
    expect(tries).toBeLessThanOrEqual(18);
  });

  test("one user's failure keeps no other from being told", async () => {
    for (const user of users(40)) ids.set(`q${user}`, ["a"]);
    const { sendToGroup } = FakeBroadcaster.prototype;
    broadcaster.sendToGroup = async (to, text) => {
      if (to === "q7:a") throw new Error("refused");
      await sendToGroup.call(broadcaster, to, text);
    };
    await tell(addedTo(40));
    expect(broadcaster.sent).toHaveLength(39);
  });

  test("nobody is told when the ids can't be read", async () => {
    const away = { query: () => Promise.reject(new ChatError("UNAVAILABLE", "away")) };
    await tell(addedTo(1), { database: away as unknown as Database });
    expect(broadcaster.sent).toEqual([]);
  });

  test("a socket service that does not answer is not waited for, and what it had not taken by then is not sent later", async () => {
    for (const user of users(100)) ids.set(`q${user}`, ["a"]);
    const answers: (() => void)[] = [];
    broadcaster.sendToGroup = () => new Promise((resolve) => void answers.push(resolve));
    await tell(addedTo(100));
    expect(answers).toHaveLength(16);
    for (const answer of answers) answer();
    await new Promise((resolve) => setImmediate(resolve));
    expect(answers).toHaveLength(16);
  });

  test("nor is a database that does not answer", async () => {
    const answers: ((rows: unknown) => void)[] = [];
    const slow = { query: () => new Promise((resolve) => void answers.push(resolve)) };
    await tell(addedTo(1), { database: slow as unknown as Database });
    answers[0]!([[{ destination: Buffer.from("q1"), subscription_id: Buffer.from("a") }], []]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(broadcaster.sent).toEqual([]);
  });
});

test("a user is told of several rooms in their order, in one send where they take several frames in one", async () => {
  const query = async (_sql: string, [destinations]: [Buffer[]]) => [
    destinations.map((destination) => {
      const packed = destination.toString() === "q9" ? 1 : 0;
      return { destination, subscription_id: Buffer.from("sub-3"), packed };
    }),
    [],
  ];
  const change = { type: "ROOM_ADDED", roomName: null, by } as const;
  await giveHints(
    [
      { roomId: 1, userIds: [7], change },
      { roomId: 2, userIds: [8, 9], change },
      { roomId: 3, userIds: [7, 9], change },
    ],
    { database: { query } as unknown as Database, broadcaster, now: () => NOW },
  );
  const frameOf = (roomId: number): string =>
    `MESSAGE\nsubscription:sub-3\ndestination:/user/queue/rooms\nmessage-id:ROOM_ADDED-${roomId}-${NOW}\n` +
    `content-type:application/json\ncontent-length:109\n\n{"type":"ROOM_ADDED","roomId":${roomId},"roomName":null,` +
    `"by":{"userId":9,"nickname":"Ann"},"timestamp":${NOW}}\0`;
  expect(broadcaster.sent.toSorted((a, b) => a.to.localeCompare(b.to))).toEqual([
    { to: "q7:sub-3", text: frameOf(1) },
    { to: "q7:sub-3", text: frameOf(3) },
    { to: "q8:sub-3", text: frameOf(2) },
    { to: "q9p:sub-3", text: frameOf(2) + frameOf(3) },
  ]);
});
