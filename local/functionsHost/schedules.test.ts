import { describe, expect, test } from "vitest";
import { never, parseSchedule } from "./schedules.js";

/** The first occurrences after a time; 1 January 2026 is a Thursday. */
function occurrences(schedule: string, count: number, after = "2026-01-01T00:00:00.000Z"): string[] {
  const { next } = parseSchedule(schedule);
  const found: string[] = [];
  for (let time = new Date(after); found.length < count; found.push(time.toISOString())) time = next(time);
  return found.map((time) => time.replace(".000Z", ""));
}

describe("six fields, the seconds first", () => {
  test.each([
    ["* * * * * *", ["2026-01-01T00:00:01", "2026-01-01T00:00:02"]],
    ["*/25 * * * * *", ["2026-01-01T00:00:25", "2026-01-01T00:00:50", "2026-01-01T00:01:00"]],
    ["0 */5 * * * *", ["2026-01-01T00:05:00", "2026-01-01T00:10:00"]],
    ["50/5 59 23 31 12 *", ["2026-12-31T23:59:50", "2026-12-31T23:59:55", "2027-12-31T23:59:50"]],
    ["0 0 9-11/2,20 * * *", ["2026-01-01T09:00:00", "2026-01-01T11:00:00", "2026-01-01T20:00:00"]],
    ["0 0 0 29 2 *", ["2028-02-29T00:00:00"]],
    ["0 0 0 31 * *", ["2026-01-31T00:00:00", "2026-03-31T00:00:00"]],
    ["0 30 9 * Jan-feb Mon", ["2026-01-05T09:30:00", "2026-01-12T09:30:00"]],
    ["0 0 0 * * wednes", ["2026-01-07T00:00:00"]],
    ["  0  0 0 * *   0 ", ["2026-01-04T00:00:00"]],
  ])("%s", (schedule, expected) => expect(occurrences(schedule, expected.length)).toEqual(expected));

  test("need both the day and the day of the week", () => {
    expect(occurrences("0 0 0 13 * Fri", 2)).toEqual(["2026-02-13T00:00:00", "2026-03-13T00:00:00"]);
  });

  test("have ranges that are turned round, so that SAT-SUN is every day", () => {
    expect(occurrences("0 0 0 * * SAT-SUN", 3)).toEqual(occurrences("0 0 0 * * *", 3));
    expect(occurrences("0 0 22-20 * * *", 3)).toEqual(occurrences("0 0 20-22 * * *", 3));
  });

  test("take a step of 0 as 1, and one beyond the field as its first value alone", () => {
    expect(occurrences("*/0 * * * * *", 2)).toEqual(occurrences("* * * * * *", 2));
    expect(occurrences("0 */90 * * * *", 2)).toEqual(["2026-01-01T01:00:00", "2026-01-01T02:00:00"]);
  });

  test("may never come true", () => {
    expect(parseSchedule("0 0 0 31 2 *").next(new Date())).toBe(never);
  });

  test("are looked for after the time given, to the millisecond", () => {
    expect(occurrences("* * * * * *", 1, "2026-01-01T00:00:00.999Z")).toEqual(["2026-01-01T00:00:01"]);
    expect(occurrences("* * * * * *", 1, "2026-01-01T00:00:01.001Z")).toEqual(["2026-01-01T00:00:02"]);
  });
});

test("five fields begin with the minutes", () => {
  expect(occurrences("*/30 * * * *", 2)).toEqual(["2026-01-01T00:30:00", "2026-01-01T01:00:00"]);
});

describe("a time is the one between two calls", () => {
  test.each([
    ["00:00:01", 1_000],
    ["00:00:00.25", 250],
    ["1:30", 90 * 60_000],
    ["23:59:59", 86_399_000],
    ["1.02:00", 26 * 3_600_000],
    ["1.00:00:00.001", 86_400_001],
    ["1:02:03:04", 93_784_000],
    // Not 24 hours: the first of three parts above 23 is days.
    ["24:00:00", 24 * 86_400_000],
    ["5", 5 * 86_400_000],
    [" 00:01:00 ", 60_000],
  ])("%j is %i ms", (schedule, milliseconds) => {
    const time = new Date("2026-01-01T00:00:00.007Z");
    expect(parseSchedule(schedule).next(time).getTime() - time.getTime()).toBe(milliseconds);
  });

  test("up to the end of time", () => {
    expect(parseSchedule("99999999").next(new Date())).toEqual(never);
  });
});

describe("what cannot be read is refused", () => {
  const count = /fields?: it must be \{second\} \{minute\}/;
  test.each([
    ["", count],
    ["often", count],
    ["@daily", count],
    ["* * * *", count],
    ["* * * * * * *", count],
    ["*\t*\t*\t*\t*\t*", count],
    ["60 * * * * *", /the second 60, which is not between 0 and 59/],
    ["* 60 * * * *", /the minute 60, /],
    ["* * 24 * * *", /the hour 24, /],
    ["* * * 0 * *", /the day 0, which is not between 1 and 31/],
    ["* * * * 13 *", /the month 13, /],
    ["* * * * * 7", /the day of week 7, which is not between 0 and 6/],
    ["0 0 0 1-32 * *", /the day 32, /],
    ["0 24 * * *", /the hour 24, /],
    ["0 0 0 L * *", /the day "L", which is not understood/],
    ["0 0 0 15W * *", /the day "15W", which is not understood/],
    ["0 0 0 ? * *", /the day "\?", which is not understood/],
    ["0 0 0 * * FRI#2", /the day of week "FRI#2", which is not understood/],
    ["0 0 0 * Mai *", /the month "Mai", which is not understood/],
    ["1,,2 * * * * *", /the second "1,,2", which is not understood/],
    ["1, * * * * *", /the second "1,", which is not understood/],
    ["-5 * * * * *", /the second "-5", which is not understood/],
    ["*-5 * * * * *", /the second "\*-5", which is not understood/],
    ["1-2-3 * * * * *", /the second "1-2-3", which is not understood/],
    ["*/x * * * * *", /the second "\*\/x", which is not understood/],
    ["/5 * * * * *", /the second "\/5", which is not understood/],
    ["*/5/5 * * * * *", /the second "\*\/5\/5", which is not understood/],
    ["1.5 * * * * *", /the second "1\.5", which is not understood/],
    ["00:00:00", /at least a millisecond/],
    ["-00:05:00", /at least a millisecond/],
    ["0", /at least a millisecond/],
    ["24:00", /more than 23 hours/],
    ["1.24:00:00", /more than 23 hours/],
    ["00:60:00", /more than 23 hours, 59 minutes/],
    ["00:00:60", /more than 23 hours, 59 minutes or 59 seconds/],
    ["00:00:01:", count],
    ["5m", count],
  ])("%j", (schedule, message) => expect(() => parseSchedule(schedule)).toThrow(message));
});

test.each([
  ["* * * * * *", true, false],
  ["0,30 * * * * *", true, false],
  ["0 * * * * *", true, true],
  ["* * * * *", true, true],
  ["*/10 0-58 * * * *", true, true],
  ["*/10 0-59 * * * *", true, false],
  ["00:00:59.999", false, false],
  ["00:01:00", false, true],
])("%s: adjusted for daylight saving %s, monitored %s", (schedule, adjustForDst, monitored) => {
  expect(parseSchedule(schedule)).toMatchObject({ adjustForDst, monitored });
});
