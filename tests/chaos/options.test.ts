import { describe, expect, test } from "vitest";
import { readOptions } from "./options.js";

describe("the options of the breaking machine", () => {
  test("are read", () => {
    const args = ["--seeds", "3..5", "--minutes", "0.5", "--bus", "kafka", "--only", "kill, cut"];
    expect(readOptions(args)).toMatchObject({
      seeds: [3, 4, 5],
      minutes: 0.5,
      bus: "kafka",
      only: ["kill", "cut"],
      minimize: false,
    });
    expect(readOptions(["--seed", "8"])).toMatchObject({ seeds: [8], minutes: 2, bus: "eventhubs" });
  });

  test("name planted faults, all if none is named", () => {
    const some = readOptions(["--planted", "seqSkips,idsStay", "--bus", "kafka"]);
    expect(some).toMatchObject({ planted: ["seqSkips", "idsStay"], seeds: [1], bus: "kafka" });
    expect(readOptions(["--planted", "--seed", "7"])).toMatchObject({ seeds: [7] });
    expect(readOptions(["--planted"]).planted).toHaveLength(27);
    expect(readOptions(["--seed", "7"]).planted).toBeUndefined();
  });

  test.each([
    [["--seed", "x"], "--seed x: must be a whole number up to 2147483647"],
    [["--seed", "1", "--seeds", "1..2"], "--seed and --seeds: one of them is enough"],
    [["--seeds", "5..1"], "--seeds 5..1: must be like 1..100, 10000 at most"],
    [["--minutes", "0"], "--minutes 0: must be a number from 0.1 to 120"],
    [["--bus", "rabbit"], "--bus rabbit: must be eventhubs or kafka"],
    [["--only", "flood"], '--only flood: there is no kind of fault "flood", but: kill, '],
    [["--minimize", "--seeds", "1..2"], "--minimize takes one --seed"],
    [["--planted", "seqJumps"], "--planted seqJumps: there is no such fault, but: receiptBeforePublish, "],
    [
      ["--planted", "--minutes", "1"],
      "--planted and --minutes: --planted goes with --seed, --bus and --keep",
    ],
    [["seqSkips"], "seqSkips: there is no such option"],
    [["--sed", "1"], "Unknown option '--sed'"],
  ])("that can't be are an error that says why: %j", (args, text) => {
    expect(() => readOptions(args)).toThrow(text);
  });
});
