import { parseArgs } from "node:util";
import { whole, withUsage } from "../platform/program.js";

const USAGE = `Usage: npm run audit [-- OPTIONS]
Compares what is stored with what follows from it, beside the running app. Exit code 0: nothing differs, or
all of it was mended. 1: something differs. 2: something could not be asked.

  --room ID   only this room, with its ids of subscriptions and what waits of it
  --repair    mend what can be derived
  --json      one JSON object a line
  --data DIR  the data folder of the local stack, where the environment names no services`;

export interface Arguments {
  readonly roomId?: number;
  readonly repairs: boolean;
  readonly json: boolean;
}

/** Throws with the usage when an argument is unknown or wrong. */
export const readArguments = (args: readonly string[]): Arguments => withUsage(USAGE, () => parsed(args));

function parsed(args: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      room: { type: "string" },
      repair: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  return {
    ...(values.room !== undefined && { roomId: whole("--room", values.room) }),
    repairs: values.repair,
    json: values.json,
  };
}
