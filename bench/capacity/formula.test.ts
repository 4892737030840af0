import { describe, expect, test } from "vitest";
import { evaluate, partitionCount, shown, unitSize, withNumbers } from "./formula.js";

const VALUES = { a: 7, b: 2, online: 801 };

describe("a formula", () => {
  test.each([
    ["a", 7],
    ["1 + 2 * 3", 7],
    ["(1 + 2) * 3", 9],
    ["10 - 4 - 3", 3],
    ["100 / 5 / 2", 10],
    ["-a + 10", 3],
    ["2 * -b", -4],
    ["ceil(online / 800)", 2],
    ["max(a, min(9, b * 4))", 8],
    ["exp(0)", 1],
    ["ceil(a / b) * 0.5", 2],
  ])("%s is %d", (formula, value) => {
    expect(evaluate(formula, VALUES)).toBe(value);
  });

  test.each([
    ["", "ends too early"],
    ["a +", "ends too early"],
    ["a b", "b is one too many"],
    ["(a", "ends too early"],
    ["max(a, b", "ends too early"],
    ["max(a; b)", "can't be read"],
    ["c", "c is not known"],
    ["floor(a)", "there is no floor"],
    ["a $ b", "can't be read"],
  ])("%s is refused with the reason: %s", (formula, reason) => {
    expect(() => evaluate(formula, VALUES)).toThrow(reason);
  });

  test("is shown with numbers where names stood, and as it was elsewhere", () => {
    expect(withNumbers("ceil(online / (1000 * a)) + c", VALUES)).toBe("ceil(801 / (1000 * 7)) + c");
  });
});

test("numbers are shown with the digits that count", () => {
  expect([0, 12, 1_234_567, 3.21999, 1234.5, 0.000026].map(shown)).toEqual([
    "0",
    "12",
    "1,234,567",
    "3.22",
    "1,235",
    "0.000026",
  ]);
});

test("Web PubSub is bought by ones to 10, tens to 100, hundreds beyond", () => {
  expect([0, 1, 10, 11, 20, 21, 100, 101, 1_000].map(unitSize)).toEqual([
    1, 1, 10, 20, 20, 30, 100, 200, 1_000,
  ]);
});

test("partitions are powers of two from 4 to 32", () => {
  expect([1, 4, 5, 8, 9, 16, 17, 32, 99].map(partitionCount)).toEqual([4, 4, 8, 8, 16, 16, 32, 32, 32]);
});
