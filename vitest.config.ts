import { defineConfig } from "vitest/config";

/** Unit tests stand beside the code, everything that crosses a folder is below `tests`. */
export default defineConfig({
  test: {
    include: ["{functions,shared,local,bench}/**/*.test.ts", "tests/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 120_000,
    teardownTimeout: 20_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
