import { readTurnKey } from "./keys.js";
import type { Turns } from "./ports.js";
import type { Asking } from "./scripts.js";

/** Turns in Redis: the process that sets a room's key has the turn, until the key expires. */
export function turns({ run }: Asking): Turns {
  return {
    takeReadTurn(roomId, withinMs) {
      const key = readTurnKey(roomId);
      return run(key, async (commands) => (await commands.set(key, "1", "PX", withinMs, "NX")) === "OK");
    },
  };
}
