import { isSameDay } from "./arrange.js";
import type { Language } from "./language.js";
import type { Texts } from "./texts/en.js";

export const timeText = (date: Date, language: Language): string =>
  date.toLocaleTimeString(language, { hour: "numeric", minute: "2-digit" });

/** The day in words; today and yesterday by their names. */
export function dayText(date: Date, now: Date, language: Language, texts: Texts): string {
  if (isSameDay(date, now)) return texts.today;
  if (isSameDay(date, yesterdayOf(now))) return texts.yesterday;
  const year = date.getFullYear() === now.getFullYear() ? {} : ({ year: "numeric" } as const);
  return date.toLocaleDateString(language, { weekday: "long", month: "long", day: "numeric", ...year });
}

/** For the list: the time of today, else the day, as short as it can be. */
export function shortText(date: Date, now: Date, language: Language, texts: Texts): string {
  if (isSameDay(date, now)) return timeText(date, language);
  if (isSameDay(date, yesterdayOf(now))) return texts.yesterday;
  const year = date.getFullYear() === now.getFullYear() ? {} : ({ year: "numeric" } as const);
  return date.toLocaleDateString(language, { month: "short", day: "numeric", ...year });
}

const yesterdayOf = (now: Date): Date => new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
