/**
 * Levels of `logging.logLevel` in host.json, the most talkative first. `context.log` uses the same words in
 * lower case.
 */
const LEVELS = ["trace", "debug", "information", "warning", "error", "critical", "none"] as const;
export type Level = (typeof LEVELS)[number];

export interface Log {
  /** True when a line of this level is written. A caller can save the work of building the line. */
  enabled(level: Level): boolean;
  write(level: Level, text: string): void;
}

/** The level that a setting names, in any case. `undefined` when it names none. */
export function parseLevel(name: string): Level | undefined {
  return LEVELS.find((level) => level === name.toLowerCase());
}

/** A log that writes each line of level `minimum` and above to `write`, stderr if not said. */
export function createLog(minimum: Level, write = (line: string) => void process.stderr.write(line)): Log {
  const floor = LEVELS.indexOf(minimum);
  const enabled = (level: Level) => level !== "none" && LEVELS.indexOf(level) >= floor;
  return {
    enabled,
    write(level, text) {
      if (enabled(level)) write(`${new Date().toISOString()} ${level} functionsHost: ${oneLine(text)}\n`);
    },
  };
}

/** A function that logs at most once in ten seconds, for loops that retry every second. */
export function throttled(log: Log, level: Level): (text: string) => void {
  let next = 0;
  return (text) => {
    if (Date.now() < next) return;
    next = Date.now() + 10_000;
    log.write(level, text);
  };
}

/**
 * The text of an error, with its stack when asked for. Once the Event Hubs SDK has used up its own retries it
 * throws an AggregateError without code or message; the causes are in its `errors`.
 */
export function describe(error: unknown, withStack = false): string {
  if (error instanceof AggregateError && error.errors.length > 0)
    return describe(error.errors.at(-1), withStack);
  if (!(error instanceof Error)) return String(error);
  const text = withStack && error.stack ? error.stack : `${error.name}: ${error.message}`;
  return error.cause === undefined ? text : `${text} (because of ${describe(error.cause)})`;
}

function oneLine(text: string): string {
  return text.replace(/\s*\r?\n\s*/g, " | ").slice(0, 16_384);
}
