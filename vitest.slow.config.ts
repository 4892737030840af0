import { defineConfig } from "vitest/config";

/**
 * Tests that download other people's clients and wait for minutes: `npm run test:slow`, by hand.
 * They mostly wait, so that all run at the same time.
 */
export default defineConfig({
  test: {
    name: "slow",
    include: ["tests/slow/**/*.test.ts"],
    globalSetup: ["tests/support/stack.ts"],
    pool: "forks",
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    maxConcurrency: 20,
    reporters: ["verbose"],
  },
});
