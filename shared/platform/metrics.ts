import type { Meter } from "@opentelemetry/api";
import type { ErrorCode } from "./errors.js";
import { instrumentsOf } from "./instruments.js";
import { log } from "./log.js";

/**
 * Counters, for OpenTelemetry and for one line a minute in the log. Without a registered SDK OpenTelemetry
 * does nothing. Attributes come from closed sets, so no user can multiply the series.
 */

const LINE_MS = 60_000;

/** Where a refusal was given. */
type Via = "stomp" | "http" | "handshake";

/**
 * Why a session ended: it was evicted, for a reason that its client is told, it disconnected, or it was found
 * to be gone.
 */
type Ending = "SESSION_LIMIT" | "DEVICE_RECONNECTED" | "LOGGED_OUT" | "disconnected" | "gone";

/**
 * Why events are handled once more, or not again: `skipped` were stored before, `recovered` were left out by
 * the host and read from the hub, `shown` had been stored but not shown.
 */
type Replay = "skipped" | "recovered" | "unattended" | "shown";

type Attributes = Readonly<Record<string, string>>;

function createInstruments(meter: Meter) {
  return {
    "chat.sessions.opened": meter.createCounter("chat.sessions.opened", {
      unit: "{session}",
      description: "Sessions that were given a slot",
    }),
    "chat.sessions.ended": meter.createCounter("chat.sessions.ended", {
      unit: "{session}",
      description: "Sessions that lost their slot, by reason",
    }),
    // Its values are to be summed over instances. A session may end in another instance than it was opened
    // in, so a single value means nothing and may be negative. The sum drifts when an instance dies, as that
    // instance's part is gone. The socket service's own metric says exactly how many connections there are.
    "chat.sessions.active": meter.createUpDownCounter("chat.sessions.active", {
      unit: "{session}",
      description: "Sessions opened less sessions ended",
    }),
    "chat.refusals": meter.createCounter("chat.refusals", {
      unit: "{refusal}",
      description: "Frames, calls and handshakes that were refused, by code",
    }),
    "chat.limits.open": meter.createCounter("chat.limits.open", {
      unit: "{check}",
      description: "Checks of limits that were left out because Redis could not be asked",
    }),
    "chat.dead_letters": meter.createCounter("chat.dead_letters", {
      unit: "{event}",
      description: "Events that went to a dead-letter hub, by code",
    }),
    "chat.audit.differences": meter.createCounter("chat.audit.differences", {
      unit: "{difference}",
      description: "What the nightly audit found to differ, by kind and by what became of it",
    }),
    "chat.audit.runs": meter.createCounter("chat.audit.runs", {
      unit: "{run}",
      description: "Nightly audits, by how they ended",
    }),
    "chat.replays": meter.createCounter("chat.replays", {
      unit: "{event}",
      description: "Events that came again, or late, by what was done about them",
    }),
  };
}

type Instruments = ReturnType<typeof createInstruments>;

const sums = new Map<string, number>();
/** Counts from before there was an SDK, for the first that comes. There are as few of them as series. */
const waiting = new Map<string, [name: keyof Instruments, attributes: Attributes, value: number]>();
let timer: NodeJS.Timeout | undefined;

/** The instruments of the registered provider. An SDK that comes late gets all counts from before. */
const currentInstruments = instrumentsOf(createInstruments, (instruments) => {
  for (const [name, attributes, value] of waiting.values()) instruments[name].add(value, attributes);
  waiting.clear();
});

function add(name: keyof Instruments, attributes: Attributes = {}, value = 1): void {
  const key = [name, ...Object.values(attributes)].join(" ");
  const known = currentInstruments();
  if (known) known[name].add(value, attributes);
  else waiting.set(key, [name, attributes, (waiting.get(key)?.[2] ?? 0) + value]);
  sums.set(key, (sums.get(key) ?? 0) + value);
  timer ??= setTimeout(flushCounts, LINE_MS).unref();
}

export const count = {
  sessionOpened(): void {
    add("chat.sessions.opened");
    add("chat.sessions.active");
  },
  sessionEnded(reason: Ending): void {
    add("chat.sessions.ended", { reason });
    add("chat.sessions.active", {}, -1);
  },
  refused(code: ErrorCode, via: Via): void {
    add("chat.refusals", { code, via });
  },
  /** A limit was not checked because Redis could not be asked. */
  limitsOpen(): void {
    add("chat.limits.open");
  },
  deadLetter(hub: string, code: ErrorCode): void {
    add("chat.dead_letters", { hub, code });
  },
  /** `kind` and `state` come from closed sets (`audit/area.ts`). */
  difference(kind: string, state: string): void {
    add("chat.audit.differences", { kind, state });
  },
  /** `whole` has looked at everything, `part` ran out of time. */
  audited(outcome: "whole" | "part" | "failed"): void {
    add("chat.audit.runs", { outcome });
  },
  replayed(hub: string, kind: Replay, events: number): void {
    if (events > 0) add("chat.replays", { hub, kind }, events);
  },
};

/**
 * Writes a line with the counts since the last line, if there are any, and hands over the counts that an SDK
 * has not got yet. Called once a minute, and at the end.
 */
export function flushCounts(): void {
  clearTimeout(timer);
  timer = undefined;
  currentInstruments();
  if (sums.size === 0) return;
  log.info("counts of the last minute", { counts: Object.fromEntries(sums) });
  sums.clear();
}
