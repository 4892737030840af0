import type { PendingMessage, RoomMessage, StoredMessage } from "@nonstop/chat-client";
import { expect, test } from "vitest";
import { chunkOf, chunksOf, isSameChunk } from "./chunks.js";

const stored = (seq: number) => ({ state: "stored", seq }) as StoredMessage;
const pending = (clientMessageId: string) => ({ state: "sending", clientMessageId }) as PendingMessage;
const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => stored(from + index));
const shape = (messages: readonly RoomMessage[]) =>
  chunksOf(messages).map(({ key, messages: { length } }) => [key, length]);

test("a message is always in the same chunk, whatever is loaded before it", () => {
  expect(shape(range(120, 230))).toEqual([
    [2, 30],
    [3, 50],
    [4, 31],
  ]);
  expect(shape(range(20, 230))).toEqual([
    [0, 30],
    [1, 50],
    [2, 50],
    [3, 50],
    [4, 31],
  ]);
  expect(chunkOf(120)).toBe(2);
});

test("what is on its way is where it will be stored", () => {
  expect(shape([...range(90, 98), pending("a"), pending("b")])).toEqual([
    [1, 10],
    [2, 1],
  ]);
  expect(shape([...range(90, 99), pending("b")])).toEqual([
    [1, 10],
    [2, 1],
  ]);
  expect(shape([pending("a")])).toEqual([[0, 1]]);
  expect(shape([])).toEqual([]);
});

test("holes of deleted messages change nothing", () => {
  expect(shape([stored(1), stored(49), stored(170), stored(171)])).toEqual([
    [0, 2],
    [3, 2],
  ]);
});

test("a chunk knows its neighbours, and is drawn anew only when something in or beside it changes", () => {
  const messages = range(1, 160);
  const [, before] = chunksOf(messages);
  expect([before!.before, before!.after]).toEqual([stored(49), stored(100)]);
  const [, after] = chunksOf([...messages, stored(161)]);
  expect(isSameChunk(before!, after!)).toBe(true);
  const [, changed] = chunksOf(messages.with(60, stored(61)));
  expect(isSameChunk(before!, changed!)).toBe(false);
});
