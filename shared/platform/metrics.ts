import { createNoopMeter, type MeterProvider, metrics } from "@opentelemetry/api";
import type { ErrorCode } from "./errors.js";
import { log } from "./log.js";

/**
 * What is counted, for OpenTelemetry (nothing happens there unless somebody has registered an SDK) and for one line a minute in the log.
 * Attributes come from closed sets, so no user can multiply the series.
 */

const METER = "nonstop-chat";
const LINE_MS = 60_000;

/** Where a refusal was given. */
type Via = "stomp" | "http" | "handshake";

/** Why a session is one no longer: it lost its place for a reason that clients are told, disconnected, or was found to be gone. */
type Ending = "SESSION_LIMIT" | "DEVICE_RECONNECTED" | "LOGGED_OUT" | "disconnected" | "gone";

type Attributes = Readonly<Record<string, string>>;

function createInstruments() {
  const meter = metrics.getMeter(METER);
  return {
    "chat.sessions.opened": meter.createCounter("chat.sessions.opened", {
      unit: "{session}",
      description: "Sessions that were given a place",
    }),
    "chat.sessions.ended": meter.createCounter("chat.sessions.ended", {
      unit: "{session}",
      description: "Sessions that lost their place, by reason",
    }),
    // To be summed over instances: a session may end in another one than it was opened in, so a single value means nothing and may be negative. The sum drifts when an instance
    // dies, as its part is gone with it; the socket service's own metric says exactly how many connections there are.
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
/** What was counted before there was an SDK, for the first that comes; as few as there are series. */
const waiting = new Map<string, [name: keyof Instruments, attributes: Attributes, value: number]>();
let timer: NodeJS.Timeout | undefined;

/** The instruments of the provider that is registered by now, undefined where none is: an SDK may come after the first count, and is then told what was counted before. */
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
  /** A check of limits was left out because Redis could not be asked. */
  limitsOpen(): void {
    add("chat.limits.open");
  },
};

/** Writes what was counted since the last line, nothing where nothing was, and hands over what an SDK has not been told. Called once a minute, and at the end. */
export function flushCounts(): void {
  clearTimeout(timer);
  timer = undefined;
  currentInstruments();
  if (sums.size === 0) return;
  log.info("counts of the last minute", { counts: Object.fromEntries(sums) });
  sums.clear();
}
