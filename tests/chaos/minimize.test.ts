import { expect, test } from "vitest";
import { fewest } from "./minimize.js";

const TEN = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

test.each([[[3]], [[10]], [[1, 2]], [[2, 9]], [[1, 5, 10]]])(
  "the fewest that fail are found: %j",
  async (guilty) => {
    const fails = async (some: readonly number[]) => guilty.every((one) => some.includes(one));
    expect(await fewest(TEN, fails, 100)).toEqual(guilty);
  },
);

test("the search ends after so many tries, with what fails", async () => {
  let tries = 0;
  const fails = async (some: readonly number[]) => {
    tries += 1;
    return some.includes(2) && some.includes(9);
  };
  const few = await fewest(TEN, fails, 3);
  expect([tries, few.includes(2) && few.includes(9)]).toEqual([3, true]);
});

test("where it fails without any, none is left", async () => {
  expect(await fewest(TEN, async () => true, 100)).toEqual([]);
});
