import { isSameDay } from "./arrange.js";
import type { Language } from "./language.js";
import type { Texts } from "./texts/en.js";

// Made once: making one takes longer than drawing the row that it is for.
const TIMES = new Map<Language, Intl.DateTimeFormat>();

/** The time as the language writes it; the half of the day in our words, because some versions of the language data leave it English. */
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

/** The day in words; today and yesterday by their names. */
export function dayText(date: Date, now: Date, language: Language, texts: Texts): string {
  if (isSameDay(date, now)) return texts.today;
  if (isSameDay(date, yesterdayOf(now))) return texts.yesterday;
  const year = date.getFullYear() === now.getFullYear() ? {} : ({ year: "numeric" } as const);
  return date.toLocaleDateString(language, { weekday: "long", month: "long", day: "numeric", ...year });
}

/** For the list: the time of today, else the day, as short as it can be. */
export function shortText(date: Date, now: Date, language: Language, texts: Texts): string {
  if (isSameDay(date, now)) return timeText(date, language, texts);
  if (isSameDay(date, yesterdayOf(now))) return texts.yesterday;
  const year = date.getFullYear() === now.getFullYear() ? {} : ({ year: "numeric" } as const);
  return date.toLocaleDateString(language, { month: "short", day: "numeric", ...year });
}

const yesterdayOf = (now: Date): Date => new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
