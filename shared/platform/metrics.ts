import { createNoopMeter, type MeterProvider, metrics } from "@opentelemetry/api";
import type { ErrorCode } from "./errors.js";
import { log } from "./log.js";

/**
 * Counters, for OpenTelemetry and for one line a minute in the log. Without a registered SDK OpenTelemetry
 * does nothing. Attributes come from closed sets, so no user can multiply the series.
 */

const METER = "nonstop-chat";
const LINE_MS = 60_000;

/** Where a refusal was given. */
type Via = "stomp" | "http" | "handshake";

/**
 * Why a session ended: it was evicted, for a reason that its client is told, it disconnected, or it was found
 * to be gone.
 */
type Ending = "SESSION_LIMIT" | "DEVICE_RECONNECTED" | "LOGGED_OUT" | "disconnected" | "gone";

type Attributes = Readonly<Record<string, string>>;

function createInstruments() {
  const meter = metrics.getMeter(METER);
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
  };
}

type Instruments = ReturnType<typeof createInstruments>;

let provider: MeterProvider | undefined;
let instruments: Instruments | undefined;
const sums = new Map<string, number>();
/** Counts from before there was an SDK, for the first that comes. There are as few of them as series. */
const waiting = new Map<string, [name: keyof Instruments, attributes: Attributes, value: number]>();
let timer: NodeJS.Timeout | undefined;

/**
 * The instruments of the registered provider; `undefined` where there is none. An SDK may come after the
 * first count. It then gets all counts from before.
 */
function currentInstruments(): Instruments | undefined {
  const current = metrics.getMeterProvider();
  if (current === provider) return instruments;
  provider = current;
  instruments = metrics.getMeter(METER) === createNoopMeter() ? undefined : createInstruments();
  if (instruments) {
    for (const [name, attributes, value] of waiting.values()) instruments[name].add(value, attributes);
    waiting.clear();
  }
  return instruments;
}

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
