import { defineConfig } from "vitest/config";

/**
 * Tests that download other people's clients and wait for minutes: `npm run test:foreign`, by hand.
 * They mostly wait, so that all are made at the same time (`tests/foreign/together.ts`).
 */
export default defineConfig({
  test: {
    name: "foreign",
    include: ["tests/foreign/**/*.test.ts"],
    globalSetup: ["tests/support/stack.ts"],
    pool: "forks",
    maxWorkers: 2,
    // They end only what hangs, as those of the other tests.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    teardownTimeout: 60_000,
    expect: { poll: { timeout: 300_000, interval: 50 } },
    reporters: ["verbose"],
  },
});
