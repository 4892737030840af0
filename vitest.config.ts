import { defineConfig } from "vitest/config";

const limits = { testTimeout: 60_000, hookTimeout: 120_000, teardownTimeout: 30_000, pool: "forks" } as const;

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
            "tests/integration/{hostileServer,lostConnections,stack}.test.ts",
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
            "tests/integration/{hostileServer,lostConnections,stack}.test.ts",
            "tests/slow/**",
          ],
          globalSetup: ["tests/support/stack.ts"],
        },
      },
    ],
  },
});
