import { AsyncLocalStorage } from "node:async_hooks";
import { isValidTraceId, trace } from "@opentelemetry/api";

/** One structured line for each thing worth knowing. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/**
 * One line of JSON. Never throws: fields that JSON can't hold, such as a circle, are named instead of
 * written.
 */
function line(level: string, message: string, fields: LogFields): string {
  // An error that is its own cause, also by others in between, would be described for ever.
  const described = new Set<unknown>();
  try {
    return JSON.stringify({ level, message, ...fields }, (_key, value: unknown) => {
      if (typeof value === "bigint") return value.toString();
      if (!(value instanceof Error)) return value;
      if (described.has(value)) return `${value.name} (as above)`;
      described.add(value);
      return describe(value);
    });
  } catch (error) {
    return JSON.stringify({ level, message, unwritten: Object.keys(fields), why: String(error) });
  }
}

const FRAMES = 5;

/**
 * An error with its code, causes and the members of an `AggregateError`, which the Event Hubs SDK throws
 * without a message.
 */
function describe(error: Error): LogFields {
  const { code, cause, errors, sqlState } = error as Error & {
    code?: unknown;
    errors?: unknown[];
    sqlState?: unknown;
  };
  return {
    name: error.name,
    message: typeof sqlState === "string" ? withoutValues(error.message) : error.message,
    ...(code === undefined ? {} : { code }),
    ...(error.stack === undefined ? {} : { stack: framesOf(error.stack, error.message) }),
    ...(cause === undefined ? {} : { cause }),
    ...(errors === undefined ? {} : { errors: errors.slice(0, 5) }),
  };
}

/** The first frames of a stack. Before them stands the message, whose lines may look like frames. */
function framesOf(stack: string, message: string): string {
  const at = stack.indexOf(message);
  const rows = stack.slice(at < 0 ? 0 : at + message.length).split("\n");
  return rows
    .filter((row) => /^\s+at /.test(row))
    .slice(0, FRAMES)
    .join("\n");
}

/** What MySQL and MariaDB quote of a statement is users' text: a value, or the statement from its fault on. */
const withoutValues = (message: string): string =>
  message
    .replace(/^(Duplicate entry )'[\s\S]*'( for key '[^']*')$/, "$1'…'$2")
    .replace(/((?:value:|\bnear) )'[\s\S]*'/, "$1'…'");

/** Where lines go, by their level: the log that the Functions host hands to an invocation, or the console. */
export type LogSink = Readonly<Record<keyof Log, (line: string) => void>>;

/** The sink of an invocation, until its end. */
interface Invocation {
  sink: LogSink | undefined;
}

const invocations = new AsyncLocalStorage<Invocation>();

/**
 * Runs one invocation, whose lines go to `sink` with their levels: the Functions host does not keep the
 * levels of lines that a worker prints. Work that still runs after the invocation's end writes to the console
 * again, because the host drops the lines of an invocation that is over.
 */
export async function loggingTo<T>(sink: LogSink, work: () => T | Promise<T>): Promise<T> {
  const invocation: Invocation = { sink };
  try {
    return await invocations.run(invocation, work);
  } finally {
    invocation.sink = undefined;
  }
}

function write(level: keyof Log, message: string, fields: LogFields = {}): void {
  const invocation = invocations.getStore();
  const sink = invocation?.sink ?? console;
  // What goes on after an invocation is not of its trace.
  const isOver = invocation && !invocation.sink;
  sink[level](line(level, message, isOver ? fields : { ...fields, ...traceNow() }));
}

/** The trace that a line belongs to, if there is one. */
function traceNow(): LogFields {
  const now = trace.getActiveSpan()?.spanContext();
  return now && isValidTraceId(now.traceId) ? { traceId: now.traceId, spanId: now.spanId } : {};
}

export const log: Log = {
  info: (message, fields) => write("info", message, fields),
  warn: (message, fields) => write("warn", message, fields),
  error: (message, fields) => write("error", message, fields),
};

/**
 * Limits the lines of something that fails again and again. Of the calls within `intervalMs` only the first
 * writes; it hears how many lines were suppressed since the line before.
 */
export function atMostEvery(
  intervalMs: number,
  now: () => number = Date.now,
): (write: (suppressed: number) => void) => void {
  let last = Number.NEGATIVE_INFINITY;
  let suppressed = 0;
  return (write) => {
    if (now() - last < intervalMs) {
      suppressed += 1;
      return;
    }
    last = now();
    write(suppressed);
    suppressed = 0;
  };
}

const unavailable = atMostEvery(1_000);

/**
 * Logs what could not be done for a client, and why. Once a second at most: while a part is away everything
 * fails.
 */
export function logUnavailable(what: string, { message: why, cause }: Error): void {
  unavailable((suppressed) => log.warn("something could not be done", { what, why, cause, suppressed }));
}
