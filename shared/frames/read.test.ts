import { describe, expect, test } from "vitest";
import type { ReadMoved } from "../chat/readMove.js";
import { headersOf, type MessageFrame } from "./frame.js";
import { readFrames } from "./read.js";

/** A move whose messages have ten times their seq as their id. */
const move = (userId: number, from: number, to: number, at = to): ReadMoved => ({
  roomId: 5,
  userId,
  lastReadMessageId: to * 10,
  previousLastReadMessageId: from === 0 ? null : from * 10,
  lastReadSeq: to,
  previousLastReadSeq: from,
  readAt: new Date(Date.UTC(2026, 0, 2, 3, 4, 5, at)),
});

const idsOf = (frames: readonly MessageFrame[]): string[] => frames.map(({ messageId }) => messageId);

describe("the frame of one read", () => {
  test("is the room's, and says from where to where", () => {
    const [frame] = readFrames(5, [move(7, 2, 4)], false);
    expect(headersOf(frame!)).toEqual({
      destination: "/sub/chat/room/5/read",
      "message-id": expect.stringMatching(/^read-[\w-]{22}$/),
      "content-type": "application/json",
    });
    expect(frame!.body).toBe(
      '{"roomId":5,"userId":7,"lastReadMessageId":40,"previousLastReadMessageId":20,"lastReadSeq":4,' +
        '"previousLastReadSeq":2,"readAt":"2026-01-02T03:04:05.004Z"}',
    );
  });

  test("says null where nothing had been read", () => {
    const [frame] = readFrames(5, [move(7, 0, 4)], false);
    expect(JSON.parse(frame!.body)).toMatchObject({
      previousLastReadMessageId: null,
      previousLastReadSeq: 0,
    });
  });

  test("has an id of its own, the same for its repeat", () => {
    const reads = [move(7, 2, 4), move(7, 4, 5), move(8, 2, 4)];
    const ids = idsOf(readFrames(5, reads, false));
    expect(new Set(ids).size).toBe(3);
    expect(idsOf(readFrames(5, reads, false))).toEqual(ids);
    expect(idsOf(readFrames(6, reads, false))).not.toEqual(ids);
  });
});

describe("merged reads", () => {
  test("stand in one frame", () => {
    const reads = [move(7, 2, 4), move(8, 0, 4)];
    const [frame, ...more] = readFrames(5, reads, true);
    expect(more).toEqual([]);
    expect(headersOf(frame!)["destination"]).toBe("/sub/chat/room/5/read");
    expect(frame!.body).toBe(
      '{"roomId":5,"reads":[{"userId":7,"lastReadMessageId":40,"previousLastReadMessageId":20,"lastReadSeq":4,' +
        '"previousLastReadSeq":2,"readAt":"2026-01-02T03:04:05.004Z"},{"userId":8,"lastReadMessageId":40,' +
        '"previousLastReadMessageId":null,"lastReadSeq":4,"previousLastReadSeq":0,"readAt":"2026-01-02T03:04:05.004Z"}]}',
    );
  });

  test.each([
    [0, []],
    [1, [1]],
    [500, [500]],
    [501, [500, 1]],
    [1_203, [500, 500, 203]],
  ])("of %i members stand in frames of %j", (count, sizes) => {
    const reads = Array.from({ length: count }, (_, index) => move(index + 1, 2, 4));
    const frames = readFrames(5, reads, true);
    expect(frames.map(({ body }) => JSON.parse(body).reads.length)).toEqual(sizes);
    expect(
      frames.flatMap(({ body }) => JSON.parse(body).reads.map(({ userId }: ReadMoved) => userId)),
    ).toEqual(reads.map(({ userId }) => userId));
    expect(new Set(idsOf(frames)).size).toBe(frames.length);
  });

  test("of 500 members fit in a WebSocket message many times over, whatever their numbers", () => {
    const most = Number.MAX_SAFE_INTEGER;
    const reads = Array.from({ length: 500 }, (_, index) => ({
      roomId: most,
      userId: most - index,
      lastReadMessageId: most,
      previousLastReadMessageId: most,
      lastReadSeq: most,
      previousLastReadSeq: most,
      readAt: new Date(),
    }));
    for (const { body } of readFrames(most, reads, true)) expect(body.length).toBeLessThan(256 * 1024);
  });
});
