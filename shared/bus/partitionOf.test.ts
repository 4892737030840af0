import { describe, expect, test } from "vitest";
import { partitionOf } from "./partitionOf.js";

describe("the partition of a key", () => {
  // As `mapPartitionKeyToId` of @azure/event-hubs gives them, which is what the service does.
  test.each<[key: string, of16: number, of32: number, of3: number]>([
    ["", 0, 0, 0],
    ["1", 6, 6, 0],
    ["7", 15, 31, 2],
    ["42", 1, 17, 2],
    ["123456789", 7, 23, 1],
    ["123456789012", 5, 21, 0],
    ["1234567890123", 10, 26, 0],
    ["room-비-🎉", 10, 26, 2],
    ["a long key that has more than twenty-four bytes", 10, 10, 2],
  ])("%j is number %d of 16, %d of 32 and %d of 3", (key, of16, of32, of3) => {
    expect([partitionOf(key, 16), partitionOf(key, 32), partitionOf(key, 3)]).toEqual([of16, of32, of3]);
  });
});
