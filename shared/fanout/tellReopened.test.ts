import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeBroadcaster } from "../../tests/fakes/broadcaster.js";
import { ChatError } from "../platform/errors.js";
import type { Database } from "../store/database.js";
import { tellReopened } from "./tellReopened.js";

const NOW = 1_767_323_045_678;

let broadcaster: FakeBroadcaster;
let deps: Parameters<typeof tellReopened>[1];

beforeEach(() => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  broadcaster = new FakeBroadcaster();
  // Everybody listens by one id, and user 9 takes several frames a message.
  const query = async (_sql: string, [destinations]: [Buffer[]]) => [
    destinations.map((destination) => {
      const packed = destination.toString() === "q9" ? 1 : 0;
      return { destination, subscription_id: Buffer.from("sub-3"), packed };
    }),
    [],
  ];
  deps = { database: { query } as unknown as Database, broadcaster, now: () => NOW };
});
afterEach(() => vi.restoreAllMocks());

const frame = (roomId: number): string =>
  `MESSAGE\nsubscription:sub-3\ndestination:/user/queue/rooms\nmessage-id:ROOM_ADDED-${roomId}-${NOW}\n` +
  `content-type:application/json\ncontent-length:109\n\n{"type":"ROOM_ADDED","roomId":${roomId},"roomName":null,` +
  `"by":{"userId":4,"nickname":"Dan"},"timestamp":${NOW}}\0`;

const by = { userId: 4, nickname: "Dan" };

test("each user is told of all rooms that have come back to them, in one send where they take several frames in one", async () => {
  await tellReopened(
    [
      { roomId: 1, userId: 7, by },
      { roomId: 2, userId: 8, by },
      { roomId: 3, userId: 7, by },
      { roomId: 4, userId: 9, by },
      { roomId: 5, userId: 9, by },
    ],
    deps,
  );
  expect(broadcaster.sent.toSorted((a, b) => a.to.localeCompare(b.to))).toEqual([
    { to: "q7:sub-3", text: frame(1) },
    { to: "q7:sub-3", text: frame(3) },
    { to: "q8:sub-3", text: frame(2) },
    { to: "q9p:sub-3", text: frame(4) + frame(5) },
  ]);
});

test("a batch without such rooms asks nothing", async () => {
  deps = { ...deps, database: {} as Database };
  await tellReopened([], deps);
  expect(broadcaster.sent).toEqual([]);
});

test.each<[string, () => void]>([
  ["the socket service is away", () => Object.assign(broadcaster, { away: true })],
  [
    "the socket service does not answer",
    () => {
      broadcaster.sendToGroup = () => new Promise(() => {});
    },
  ],
  [
    "the database is away",
    () => {
      const query = () => Promise.reject(new ChatError("UNAVAILABLE", "away"));
      deps = { ...deps, database: { query } as unknown as Database };
    },
  ],
])("it neither fails nor goes on for ever where %s", async (_what, happens) => {
  happens();
  await expect(tellReopened([{ roomId: 1, userId: 7, by }], deps)).resolves.toBeUndefined();
});
