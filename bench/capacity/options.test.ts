import { describe, expect, test } from "vitest";
import { help, readOptions } from "./options.js";

const read = (...args: string[]) => readOptions(args).input;

describe("options", () => {
  test("all have a usual value; a tenth of the users are connected", () => {
    expect(read().numbers).toMatchObject({ users: 10_000, online: 1_000, peak: 5, "pool-size": 16 });
    expect(read("--users", "7").numbers.online).toBe(1);
    expect(read()).toMatchObject({ memory: 2048, isPrivate: false, isHighlyAvailable: false });
  });

  test("take numbers with separators, and `=`", () => {
    expect(read("--users=1,000,000", "--online", "100_000").numbers).toMatchObject({
      users: 1_000_000,
      online: 100_000,
    });
    expect(read("--peak", "2.5").numbers.peak).toBe(2.5);
  });

  test.each([
    [["--users", "-5"], '--users must be a whole number from 1 to 100,000,000, and "-5" is none'],
    [["--users", "0"], '"0" is none'],
    [["--users", "ten"], '"ten" is none'],
    [["--users", ""], '"" is none'],
    [["--users", "1.5"], "--users must be a whole number"],
    [["--users", "1e3"], '"1e3" is none'],
    [["--users", "Infinity"], '"Infinity" is none'],
    [["--users", "100000001"], "--users must be"],
    [["--peak", "0.5"], "--peak must be a number from 1 to 100"],
    [["--read-share", "1.1"], "--read-share must be a number from 0 to 1"],
    [["--room-size", "10001"], "--room-size must be a number from 1 to 10,000"],
    [["--users", "100", "--online", "101"], "--online 101 is more than --users 100"],
    [["--memory", "1024"], "--memory must be one of 512, 2048, 4096"],
    [["--network", "secret"], "--network must be one of public, private"],
    [["--user", "5"], "Unknown option '--user'"],
    [["--users"], "--users"],
    [["5"], "Unexpected argument '5'"],
    [["--json=5"], "--json"],
  ])("%j are refused: %s", (args, reason) => {
    expect(() => readOptions(args)).toThrow(reason);
  });

  test("are all named at once where several are wrong", () => {
    expect(() => read("--users", "x", "--peak", "y", "--memory", "z")).toThrow(
      /--users.*\n--peak.*\n--memory/,
    );
  });

  test("the help names each", () => {
    for (const name of [
      "--users ",
      "--online ",
      "--messages-per-user-day ",
      "--room-size ",
      "--memory ",
      "--json",
    ])
      expect(help()).toContain(name);
  });
});
