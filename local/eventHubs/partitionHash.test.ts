import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { partitionOfKey } from "./partitionHash.js";

// The SDK's own mapper is not exported, so it is loaded by its place in the package.
const require = createRequire(import.meta.url);
const commonjs = dirname(require.resolve("@azure/event-hubs"));
const sdk = require(join(commonjs, "impl", "partitionKeyToIdMapper.js")) as {
  mapPartitionKeyToId(key: string, count: number): number;
};

const keys = [
  "",
  "a",
  "room-1",
  "twelve bytes",
  "thirteen byte",
  "방 하나",
  "日本語の部屋",
  "😀😀😀",
  "\u0000",
  "x".repeat(128),
  ...Array.from(
    { length: 5000 },
    (_, index) => `${"é한z".repeat(index % 7)}${(index * 2_654_435_761) % 4_294_967_296}`,
  ),
];

test.each([1, 2, 3, 10, 32])("chooses of %i partitions the one the SDK chooses, for every key", (count) => {
  const ours = keys.map((key) => partitionOfKey(key, count));
  expect(ours).toEqual(keys.map((key) => sdk.mapPartitionKeyToId(key, count)));
});
