import { defineConfig } from "vitest/config";

/** No test is about how fast the machine is: these end only what hangs. Each project needs them, as inline ones inherit nothing. */
const limits = {
  testTimeout: 600_000,
  hookTimeout: 600_000,
  teardownTimeout: 60_000,
  expect: { poll: { timeout: 300_000, interval: 50 } },
  pool: "forks",
} as const;

/**
 * Unit tests stand beside the code; everything that crosses a folder is below `tests`. Those that need a
 * running stack share one, started before the first of them.
 */
export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        test: {
          ...limits,
          name: "unit",
          include: [
            "{functions,shared,local,bench}/**/*.test.ts",
            "client/*.test.ts",
            "web/src/**/*.test.ts",
          ],
        },
      },
      {
        test: {
          ...limits,
          name: "local servers",
          include: [
            "tests/contracts/{entra,eventHubs*,webPubSub*,functionsHost*}.test.ts",
            "tests/{integration/hostileServer,integration/lostConnections,long/stack}.test.ts",
          ],
        },
      },
      {
        test: {
          ...limits,
          name: "stack",
          include: ["tests/**/*.test.ts"],
          exclude: [
            "tests/contracts/{entra,eventHubs*,webPubSub*,functionsHost*}.test.ts",
            "tests/{integration/hostileServer,integration/lostConnections,long/stack}.test.ts",
            "tests/foreign/**",
          ],
          globalSetup: ["tests/support/stack.ts"],
        },
      },
    ],
  },
});
