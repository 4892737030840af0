import { parseArgs } from "node:util";
import { DEAD_LETTER_HUBS } from "../events/deadLetters.js";
import { whole, withUsage } from "../platform/program.js";
import type { Filter } from "./choose.js";

const USAGE = `Usage: npm run dead-letters -- COMMAND [HUB NUMBER...] [options]
  list                    a table of the dead letters, newest last
  show HUB NUMBER         one letter, with the original bytes of its event
  replay [HUB NUMBER...]  publish the events again, behind all others of their room, and tell what becomes
                          of them; exit code 0 only if all are stored
  drop [HUB NUMBER...]    leave letters out of list and replay from now on

  HUB                     ${Object.keys(DEAD_LETTER_HUBS).join(" or ")}; or its dead-letter hub
  --hub HUB               only letters of this hub
  --room ID               only letters of this room
  --since WHEN            only letters since then: 90m, 12h, 7d, or a date such as 2026-11-26T08:00Z
  --all                   dropped letters, too
  --again                 replay letters, too, that were replayed before
  --wait SECONDS          how long replay looks for what became of the events; 60 if not said
  --yes                   don't ask
  --json                  one JSON object a line
  --data DIR              the data folder of the local stack, where the environment names no bus`;

const COMMANDS = ["list", "show", "replay", "drop"] as const;

export interface Arguments {
  readonly command: (typeof COMMANDS)[number];
  /** The dead-letter hubs to read. */
  readonly hubs: readonly string[];
  readonly filter: Filter;
  readonly json: boolean;
  readonly again: boolean;
  readonly yes: boolean;
  readonly waitMs: number;
}

/** Throws with the usage when an argument is unknown or wrong. */
export const readArguments = (args: readonly string[], now: number): Arguments =>
  withUsage(USAGE, () => parsed(args, now));

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
      again: { type: "boolean", default: false },
      yes: { type: "boolean", default: false },
      wait: { type: "string", default: "60" },
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
  const isNarrow = [place, values.hub, values.room, values.since].some((one) => one !== undefined);
  if (command === "drop" && !isNarrow)
    throw new Error(
      "drop needs HUB NUMBER, --hub, --room or --since, so that it never drops all by mistake.",
    );
  const wait = whole("--wait", values.wait);
  if (wait > 3_600) throw new Error("--wait must be at most 3600 seconds.");
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
    again: values.again,
    yes: values.yes,
    waitMs: wait * 1_000,
  };
}

function deadLetterHub(name: string): string {
  const hub = Object.hasOwn(DEAD_LETTER_HUBS, name)
    ? DEAD_LETTER_HUBS[name]
    : Object.values(DEAD_LETTER_HUBS).find((one) => one === name);
  if (hub === undefined) throw new Error(`There is no hub ${name} with dead letters.`);
  return hub;
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
