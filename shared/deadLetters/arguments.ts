import { parseArgs } from "node:util";
import { DEAD_LETTER_HUBS } from "../events/deadLetters.js";
import type { Filter } from "./choose.js";

const USAGE = `Usage: npm run dead-letters -- COMMAND [HUB NUMBER...] [options]
  list                    a table of the dead letters, newest last
  show HUB NUMBER         one letter, with the original bytes of its event

  HUB                     ${Object.keys(DEAD_LETTER_HUBS).join(" or ")}; or its dead-letter hub
  --hub HUB               only letters of this hub
  --room ID               only letters of this room
  --since WHEN            only letters since then: 90m, 12h, 7d, or a date such as 2026-11-26T08:00Z
  --all                   dropped letters, too
  --json                  one JSON object a line
  --data DIR              the data folder of the local stack, where the environment names no bus`;

const COMMANDS = ["list", "show"] as const;

export interface Arguments {
  readonly command: (typeof COMMANDS)[number];
  /** The dead-letter hubs to read. */
  readonly hubs: readonly string[];
  readonly filter: Filter;
  readonly json: boolean;
}

/** Throws with the usage when an argument is unknown or wrong. */
export function readArguments(args: readonly string[], now: number): Arguments {
  try {
    return parsed(args, now);
  } catch (cause) {
    throw new Error(`${(cause as Error).message}\n${USAGE}`, { cause });
  }
}

function parsed(args: readonly string[], now: number): Arguments {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      hub: { type: "string" },
      room: { type: "string" },
      since: { type: "string" },
      all: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const [name, place, ...numbers] = positionals;
  const command = COMMANDS.find((one) => one === name);
  if (!command) throw new Error(`The command must be one of ${COMMANDS.join(", ")}.`);
  if (command === "list" && place !== undefined) throw new Error("list takes no numbers: see show.");
  if (command === "show" && numbers.length !== 1) throw new Error("show needs a hub and one number.");
  if (place !== undefined && numbers.length === 0) throw new Error(`${place} needs the number of a letter.`);
  if (place !== undefined && values.hub !== undefined)
    throw new Error("HUB NUMBER and --hub exclude each other.");
  const hub = place ?? values.hub;
  return {
    command,
    hubs: hub === undefined ? Object.values(DEAD_LETTER_HUBS) : [deadLetterHub(hub)],
    filter: {
      ...(place !== undefined && { numbers: new Set(numbers.map((text) => whole("NUMBER", text))) }),
      ...(values.room !== undefined && { roomId: whole("--room", values.room) }),
      ...(values.since !== undefined && { since: moment(values.since, now) }),
      withDropped: values.all || command === "show",
    },
    json: values.json,
  };
}

function deadLetterHub(name: string): string {
  const hub = Object.hasOwn(DEAD_LETTER_HUBS, name)
    ? DEAD_LETTER_HUBS[name]
    : Object.values(DEAD_LETTER_HUBS).find((one) => one === name);
  if (hub === undefined) throw new Error(`There is no hub ${name} with dead letters.`);
  return hub;
}

function whole(name: string, text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number))
    throw new Error(`${name} must be a whole number, not ${text}.`);
  return number;
}

const UNIT_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A date, or that long before now. */
function moment(text: string, now: number): Date {
  const [, count, unit = ""] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const date = count === undefined ? new Date(text) : new Date(now - Number(count) * UNIT_MS[unit]!);
  if (Number.isNaN(date.getTime()))
    throw new Error(`--since must be like 90m, 12h, 7d or a date, not ${text}.`);
  return date;
}
