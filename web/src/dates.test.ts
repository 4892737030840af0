import { expect, test } from "vitest";
import { dayText, shortText } from "./dates.js";
import { en } from "./texts/en.js";
import { ko } from "./texts/ko.js";

const NOW = new Date(2026, 2, 10, 9, 30);

test.each([
  [new Date(2026, 2, 10, 0, 0), "Today", "오늘"],
  [new Date(2026, 2, 9, 23, 59), "Yesterday", "어제"],
  [new Date(2026, 2, 8, 12, 0), "Sunday, March 8", "3월 8일 일요일"],
  [new Date(2025, 11, 31, 12, 0), "Wednesday, December 31, 2025", "2025년 12월 31일 수요일"],
])("%s is a day with a name", (date, english, korean) => {
  expect(dayText(date, NOW, "en", en)).toBe(english);
  expect(dayText(date, NOW, "ko", ko)).toBe(korean);
});

test.each([
  [new Date(2026, 2, 10, 9, 5), /^9:05\sAM$/, /^(오전|AM) 9:05$/],
  [new Date(2026, 2, 9, 9, 5), /^Yesterday$/, /^어제$/],
  [new Date(2026, 0, 2, 9, 5), /^Jan 2$/, /^1월 2일$/],
  [new Date(2025, 0, 2, 9, 5), /^Jan 2, 2025$/, /^2025년 1월 2일$/],
])("%s is as short as it can be", (date, english, korean) => {
  expect(shortText(date, NOW, "en", en)).toMatch(english);
  expect(shortText(date, NOW, "ko", ko)).toMatch(korean);
});

test("every text of one language is one of the other", () => {
  const shape = (texts: object): unknown =>
    Object.fromEntries(
      Object.entries(texts).map(([name, text]) => [
        name,
        typeof text === "object" ? shape(text) : typeof text,
      ]),
    );
  expect(shape(ko)).toEqual(shape(en));
});
