import type { FaultNotes } from "../platform/faults.js";
import { faultKey } from "./keys.js";
import type { Asking } from "./scripts.js";

/** Fault notes in Redis: a key for each name, until its time is over. */
export function faultNotes({ run }: Asking): FaultNotes {
  return {
    async noteFault(name, forMs) {
      const key = faultKey(name);
      await run(key, (commands) => commands.setFor(key, "1", forMs));
    },
    async hasFault(name) {
      const key = faultKey(name);
      return (await run(key, (commands) => commands.get(key))) === "1";
    },
  };
}
