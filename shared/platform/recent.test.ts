import { expect, test } from "vitest";
import { recent } from "./recent.js";

test("what is used stays, what is not goes, and there is a bound", () => {
  const values = recent<number>(10);
  for (let index = 0; index < 1_000; index += 1) {
    values.set(`key ${index}`, index);
    values.set("always", -1);
    expect(values.get(`key ${index}`)).toBe(index);
    expect(values.get("used")).toBe(index === 0 ? undefined : -2);
    if (index === 0) values.set("used", -2);
  }
  const left = Array.from({ length: 1_000 }, (_, index) => values.get(`key ${index}`)).filter(
    (value) => value !== undefined,
  );
  expect(left.length).toBeLessThanOrEqual(20);
  expect(values.get("key 0")).toBeUndefined();
  expect(values.get("unknown")).toBeUndefined();
});
