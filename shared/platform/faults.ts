import { createHash } from "node:crypto";
import type { Fault } from "./errors.js";
import { atMostEvery, log } from "./log.js";

/**
 * A fault counts for this long after it was last seen: longer than the host's longest pause between two tries
 * of a batch.
 */
const FAULT_MS = 90_000;
/** Each fault is logged once in this time. */
const LOGGED_MS = 60_000;
/** Other processes are told of a part's faults once in this time. */
const TOLD_MS = 5_000;
/** As many different faults have a log line of their own. All further ones share one for each part. */
const FAULTS_KNOWN = 100;
const TEXT_CHARACTERS = 500;

/**
 * A part of the system that can say that it will never do what it was asked: somebody has to mend that, no
 * retry helps.
 */
export type Part = "mysql" | "eventHubs" | "webPubSub";

const HINTS: Readonly<Record<Part, string>> = {
  mysql: "are all migrations applied, does the user have its rights?",
  eventHubs: "are the hubs there, may this app send, listen and look at them?",
  webPubSub: "is the access key, or the app's role, that of this service?",
};

/** How processes tell each other of faults. */
export interface FaultNotes {
  /** Tells all processes that there is a fault of this name, for the next `forMs` milliseconds. */
  noteFault(name: string, forMs: number): Promise<void>;
  /** Whether a process has told of such a fault; false where that can't be found out. */
  hasFault(name: string): Promise<boolean>;
}

export interface Faults {
  /** Logs the fault as an error, at most once a minute, and tells the other processes. */
  readonly note: (part: Part, fault: Fault) => void;
  /** Whether this process or another one has seen a fault of this part in the last 90 seconds. */
  readonly any: (part: Part) => Promise<boolean>;
}

/**
 * Keeps the faults of this process, and shares them by `notes` with all processes that have the same
 * `addresses`. Processes of another deployment may use the same notes, so an address says all that makes a
 * part the same one: the server, and the version that is needed of it.
 */
export function createFaults(
  notes: FaultNotes,
  addresses: Readonly<Record<Part, string>>,
  now: () => number = Date.now,
): Faults {
  const last = new Map<Part, number>();
  const limits = new Map<string, ReturnType<typeof atMostEvery>>();
  const limited = (name: string, everyMs: number) => {
    const found = limits.get(name) ?? atMostEvery(everyMs, now);
    limits.set(name, found);
    return found;
  };
  const shared = (part: Part): string =>
    `${part}:${createHash("sha256").update(addresses[part]).digest("hex").slice(0, 16)}`;
  return {
    note(part, { what, statement, kind, isOwn = false }) {
      last.set(part, now());
      if (!isOwn) limited(part, TOLD_MS)(() => void notes.noteFault(shared(part), FAULT_MS));
      const own = `${part} ${kind}`;
      const name = limits.size < FAULTS_KNOWN || limits.has(own) ? own : `${part} others`;
      limited(
        name,
        LOGGED_MS,
      )((suppressed) =>
        log.error(`${part} does not do what this app needs of it: that has to be mended, no retry helps`, {
          what: what.slice(0, TEXT_CHARACTERS),
          statement,
          hint: HINTS[part],
          suppressed,
        }),
      );
    },
    any: async (part) =>
      now() - (last.get(part) ?? -FAULT_MS) < FAULT_MS || (await notes.hasFault(shared(part))),
  };
}
