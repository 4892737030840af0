import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ChatError } from "./errors.js";
import { atMostEvery, type LogSink, log, loggingTo } from "./log.js";

let lines: [method: string, line: string][];

beforeEach(() => {
  lines = [];
  for (const method of ["info", "warn", "error"] as const)
    vi.spyOn(console, method).mockImplementation((line: string) => void lines.push([method, line]));
});
afterEach(() => vi.restoreAllMocks());

const written = () => JSON.parse(lines.at(-1)![1]);

test.each(["info", "warn", "error"] as const)("%s is one line of JSON on its own console method", (level) => {
  log[level]("two\nlines", { roomId: 1, at: new Date(0) });
  expect(lines).toEqual([
    [level, `{"level":"${level}","message":"two\\nlines","roomId":1,"at":"1970-01-01T00:00:00.000Z"}`],
  ]);
});

describe("an error among the fields", () => {
  test("is written with its code and the chain of its causes", () => {
    const cause = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
    log.error("failed", { error: new ChatError("UNAVAILABLE", "away", { cause }) });
    expect(written().error).toMatchObject({
      name: "ChatError",
      code: "UNAVAILABLE",
      message: "away",
      cause: { name: "Error", code: "ECONNREFUSED", message: "refused" },
    });
  });

  test("is written with the first five members of an AggregateError", () => {
    const errors = Array.from({ length: 9 }, (_, index) => new Error(`e${index}`));
    log.error("failed", { error: new AggregateError(errors) });
    expect(written().error.errors.map(({ message }: Error) => message)).toEqual([
      "e0",
      "e1",
      "e2",
      "e3",
      "e4",
    ]);
  });

  test("may be its own cause", () => {
    const error = new Error("around");
    error.cause = new Error("and around", { cause: error });
    log.error("failed", { error });
    expect(written().error).toMatchObject({ message: "around", cause: { message: "and around" } });
  });
});

test("what JSON can't hold does not throw", () => {
  const circle: Record<string, unknown> = {};
  circle["self"] = circle;
  log.warn("circle", { circle });
  expect(written()).toMatchObject({ level: "warn", message: "circle", unwritten: ["circle"] });
  log.warn("big", { big: 12345678901234567890n });
  expect(written()).toEqual({ level: "warn", message: "big", big: "12345678901234567890" });
});

test.each([
  ["Duplicate entry 'it's\n  at secret' for key 'PRIMARY'", "Duplicate entry '…' for key 'PRIMARY'"],
  [
    "Incorrect integer value: 'it's for column' for column `chat`.`t`.`n` at row 1",
    "Incorrect integer value: '…' for column `chat`.`t`.`n` at row 1",
  ],
  ["Truncated incorrect DOUBLE value: 'it's'", "Truncated incorrect DOUBLE value: '…'"],
  [
    "You have an error in your SQL syntax; the right syntax to use near 'it's 'x'' at line 1",
    "You have an error in your SQL syntax; the right syntax to use near '…' at line 1",
  ],
  ["Table 'chat.nowhere' doesn't exist", "Table 'chat.nowhere' doesn't exist"],
])("of what a database says nobody's text is written: %j", (message, said) => {
  log.error("failed", { error: Object.assign(new Error(message), { sqlState: "23000", code: "ER" }) });
  const { error } = written() as { error: { message: string; stack: string } };
  expect(error.message).toBe(said);
  expect(error.stack).not.toMatch(/secret|it's/);
});

test("something that fails again and again is written once in its interval, with the count of those suppressed", () => {
  let now = 0;
  const suppressed: number[] = [];
  const limited = atMostEvery(1_000, () => now);
  for (now = 0; now <= 2_500; now += 100) limited((count) => suppressed.push(count));
  expect(suppressed).toEqual([0, 9, 9]);
});

describe("within an invocation", () => {
  const noting = (into: string[]): LogSink => ({
    info: (text) => into.push(`info ${JSON.parse(text).message}`),
    warn: (text) => into.push(`warn ${JSON.parse(text).message}`),
    error: (text) => into.push(`error ${JSON.parse(text).message}`),
  });

  test("lines go to it with their levels, each to its own, whatever is awaited in between", async () => {
    const [first, second]: [string[], string[]] = [[], []];
    const work = (name: string) => async () => {
      log.info(`${name} begins`);
      await sleep(5);
      log.warn(`${name} goes on`);
      await Promise.all([sleep(1).then(() => log.error(`${name} fails`))]);
      return name;
    };
    expect(
      await Promise.all([loggingTo(noting(first), work("a")), loggingTo(noting(second), work("b"))]),
    ).toEqual(["a", "b"]);
    expect(first).toEqual(["info a begins", "warn a goes on", "error a fails"]);
    expect(second).toEqual(["info b begins", "warn b goes on", "error b fails"]);
    expect(lines).toEqual([]);
  });

  test("what comes after its end, failed or not, goes to the console", async () => {
    const noted: string[] = [];
    let later: Promise<void> | undefined;
    const work = async () => {
      later = sleep(10).then(() => log.warn("later"));
      throw new Error("failed");
    };
    await expect(loggingTo(noting(noted), work)).rejects.toThrow("failed");
    await later;
    log.info("outside");
    expect(noted).toEqual([]);
    expect(lines.map(([method]) => method)).toEqual(["warn", "info"]);
  });
});
