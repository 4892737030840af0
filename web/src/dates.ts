import { isSameDay } from "./arrange.js";
import type { Language } from "./language.js";
import type { Texts } from "./texts/en.js";

// Each format is made once: making it takes longer than drawing the row that it is for.
const TIMES = new Map<Language, Intl.DateTimeFormat>();

/**
 * The time as the language writes it. AM and PM are texts of the page, because some versions of the browser's
 * language data leave them English.
 */
export function timeText(date: Date, language: Language, texts: Texts): string {
  const format =
    TIMES.get(language) ?? new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit" });
  TIMES.set(language, format);
  const half = date.getHours() < 12 ? texts.morning : texts.afternoon;
  return format
    .formatToParts(date)
    .map(({ type, value }) => (type === "dayPeriod" ? half : value))
    .join("");
}

/** The day in words. Today and yesterday have names of their own. */
export function dayText(date: Date, now: Date, language: Language, texts: Texts): string {
  if (isSameDay(date, now)) return texts.today;
  if (isSameDay(date, yesterdayOf(now))) return texts.yesterday;
  return date.toLocaleDateString(language, {
    weekday: "long",
    month: "long",
    day: "numeric",
    ...yearOf(date, now),
  });
}

/** As short as it can be, for the list of rooms: the time if it is today, otherwise the day. */
export function shortText(date: Date, now: Date, language: Language, texts: Texts): string {
  if (isSameDay(date, now)) return timeText(date, language, texts);
  if (isSameDay(date, yesterdayOf(now))) return texts.yesterday;
  return date.toLocaleDateString(language, { month: "short", day: "numeric", ...yearOf(date, now) });
}

const yesterdayOf = (now: Date): Date => new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);

/** The year is written only if it is another one. */
const yearOf = (date: Date, now: Date): Intl.DateTimeFormatOptions =>
  date.getFullYear() === now.getFullYear() ? {} : { year: "numeric" };
