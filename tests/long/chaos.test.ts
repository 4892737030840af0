import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { projectRoot } from "../../local/settings.js";

const run = promisify(execFile);
const machine = (...args: string[]) =>
  run(process.execPath, [join(projectRoot, "dist/tests/chaos/main.js"), ...args], { maxBuffer: 10_000_000 });

describe("the breaking machine", () => {
  test("breaks a whole stack, and finds that nothing was lost", async () => {
    const { stdout } = await machine("--seed", "3", "--minutes", "0.5");
    expect(stdout).toMatch(/^seed 3: \d+ faults in 0.5 min on eventhubs$/m);
    expect(stdout).toMatch(/^counts: .*\bsend \d+.*\baccepted \d+/m);
    expect(stdout).toMatch(/^seed 3: ok$/m);
  });

  test("finds a fault that is planted in the product, and nothing in the product itself", async () => {
    const { stdout } = await machine("--planted", "contentCut");
    expect(stdout).toMatch(
      /^control, calm: nothing found\nplanted contentCut: found by content \d+ \(others: .*\)\nplanted: ok\n$/,
    );
  });

  test("says which options can't be, and ends with 2", async () => {
    const failure = await machine("--bus", "rabbit").catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 2, stderr: "--bus rabbit: must be eventhubs or kafka\n" });
  });
});
