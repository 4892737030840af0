import { Cron } from "croner";

/** When a timer is due. */
export interface Schedule {
  /** The first occurrence after `time`. `never` when there is none. */
  next(time: Date): Date;
  /** The handler gets this under the same name: true for calendar schedules, false for intervals. */
  readonly adjustForDst: boolean;
  /**
   * True when occurrences are at least a minute apart: only then does the real host keep a schedule's status.
   */
  readonly monitored: boolean;
}

/**
 * The occurrence of a schedule that has none, such as 31 February: the largest date of .NET, as in the real
 * host.
 */
export const never = new Date("9999-12-31T23:59:59.999Z");

/**
 * Reads the schedule of a timer, in UTC: NCRONTAB with six fields, or five without the seconds. Or else a
 * .NET TimeSpan, the time from one occurrence to the next. Throws an error whose text continues "the schedule
 * ...".
 */
export function parseSchedule(text: string): Schedule {
  const interval = parseTimeSpan(text.trim());
  if (interval !== undefined) return intervalSchedule(interval);
  const parts = text.split(" ").filter((part) => part !== "");
  if (parts.length !== 5 && parts.length !== 6) {
    const found = parts.length === 1 ? "1 field" : `${parts.length} fields`;
    throw new Error(
      `has ${found}: it must be {second} {minute} {hour} {day} {month} {day of week}, or a time like 00:05:00`,
    );
  }
  if (parts.length === 5) parts.unshift("0");
  return cronSchedule(FIELDS.map((field, index) => parseField(field, parts[index]!)));
}

interface Field {
  readonly name: string;
  readonly least: number;
  readonly most: number;
  readonly names?: readonly string[];
}

const MONTHS = "January February March April May June July August September October November December";
const DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday";

const FIELDS: readonly Field[] = [
  { name: "second", least: 0, most: 59 },
  { name: "minute", least: 0, most: 59 },
  { name: "hour", least: 0, most: 23 },
  { name: "day", least: 1, most: 31 },
  { name: "month", least: 1, most: 12, names: MONTHS.split(" ") },
  // Sunday is 0 only. A 7, which other crons take for Sunday as well, is refused.
  { name: "day of week", least: 0, most: 6, names: DAYS.split(" ") },
];

/**
 * The fields are read here and passed on as plain lists, because cron dialects differ. NCRONTAB has no L, W,
 * # and ?, accepts any beginning of a name, and turns ranges round: SAT-SUN is SUN-SAT and means every day.
 */
function parseField(field: Field, text: string): ReadonlySet<number> {
  const values = new Set<number>();
  for (const item of text.split(",")) {
    const match = /^(\*|[^*/-]+)(?:-([^*/-]+))?(?:\/(\d+))?$/.exec(item);
    if (!match || (match[1] === "*" && match[2] !== undefined))
      throw new Error(`has the ${field.name} "${text}", which is not understood`);
    const [, first = "", last, step] = match;
    const from = first === "*" ? field.least : parseValue(field, first);
    // "5/10" begins at 5. A step beyond the field leaves only its first value, and a step of 0 is one of 1.
    const toTheEnd = first === "*" || step !== undefined;
    const to = last !== undefined ? parseValue(field, last) : toTheEnd ? field.most : from;
    const by = Math.max(1, Number(step ?? 1));
    for (let value = Math.min(from, to); value <= Math.max(from, to); value += by) values.add(value);
  }
  return values;
}

function parseValue({ name, least, most, names = [] }: Field, text: string): number {
  const named = names.findIndex((one) => one.toLowerCase().startsWith(text.toLowerCase()));
  if (named >= 0) return named + least;
  if (!/^\d+$/.test(text)) throw new Error(`has the ${name} "${text}", which is not understood`);
  const value = Number(text);
  if (value >= least && value <= most) return value;
  throw new Error(`has the ${name} ${text}, which is not between ${least} and ${most}`);
}

function cronSchedule(sets: readonly ReadonlySet<number>[]): Schedule {
  const whole = FIELDS.map(({ least, most }, index) => sets[index]!.size === most - least + 1);
  const pattern = sets.map((set, index) => (whole[index] ? "*" : [...set].join(","))).join(" ");
  // Day and day of week must both match, unlike in Vixie cron.
  const cron = new Cron(pattern, { paused: true, mode: "6-part", timezone: "UTC", domAndDow: true });
  return {
    next: (time) => cron.nextRun(time) ?? never,
    adjustForDst: true,
    monitored: sets[0]!.size === 1 || !whole.slice(1).every(Boolean),
  };
}

function intervalSchedule(milliseconds: number): Schedule {
  if (milliseconds < 1) throw new Error("must be a time of at least a millisecond");
  return {
    next: (time) => new Date(Math.min(time.getTime() + milliseconds, never.getTime())),
    adjustForDst: false,
    monitored: milliseconds >= 60_000,
  };
}

const TIME_SPAN = /^(-?)(?:(\d{1,8})(?:\.|:(?=\d+:\d+:\d)))?(\d{1,8}):(\d{1,2})(?::(\d{1,2})(\.\d{1,7})?)?$/;

/**
 * Milliseconds of `[d.]hh:mm[:ss[.fff]]`. `undefined` when `text` is nothing of the kind. As in .NET a number
 * alone is days, and three parts that begin with more than 23 are days, hours and minutes: 24:00:00 is 24
 * days.
 */
function parseTimeSpan(text: string): number | undefined {
  if (/^-?\d{1,8}$/.test(text)) return Number(text) * 86_400_000;
  const match = TIME_SPAN.exec(text);
  if (!match) return undefined;
  let parts = match.slice(2, 6).map((part) => Number(part ?? 0));
  if (match[2] === undefined && match[5] !== undefined && match[6] === undefined && parts[1]! > 23)
    parts = [...parts.slice(1), 0];
  const [wholeDays = 0, hours = 0, minutes = 0, seconds = 0] = parts;
  if (hours > 23 || minutes > 59 || seconds > 59)
    throw new Error(
      "has more than 23 hours, 59 minutes or 59 seconds: write days before them, as in 1.00:00:00",
    );
  const whole = ((wholeDays * 24 + hours) * 60 + minutes) * 60 + seconds;
  return (match[1] === "-" ? -1 : 1) * (whole + Number(match[6] ?? 0)) * 1000;
}
