import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { LongestFirst } from "./tests/support/longestFirst.js";

/**
 * No test is about how fast the machine is: these end only what hangs. Each project needs them, as inline
 * ones inherit nothing.
 */
const limits = {
  testTimeout: 600_000,
  hookTimeout: 600_000,
  teardownTimeout: 60_000,
  expect: { poll: { timeout: 300_000, interval: 50 } },
  pool: "forks",
} as const;

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** They start the servers they need themselves. */
const SERVERS = [
  "tests/contracts/{deadLetters,entra,eventBus,eventHubs*,kafka*,topics,webPubSub*,functionsHost*}.test.ts",
  "tests/integration/{build,lostConnections}.test.ts",
];
/**
 * Long as those of `tests/long`, though they stand beside their like: by the real clock, or on a stack of
 * their own.
 */
const ALSO_LONG = [
  "tests/contracts/{functionsHostEventHubs,functionsHostKafka,functionsHostTimers}.test.ts",
  "tests/integration/{dev,hanging}.test.ts",
];
/** Unit tests of what is built, so that a build must be there. */
const OF_BUILD = ["local/token.test.ts"];
/** They disturb the stack that the others share, so nothing else may run meanwhile. */
const ALONE = ["tests/e2e/outages.test.ts"];

/**
 * Unit tests stand beside the code; everything that crosses a folder is below `tests`. The projects are run
 * in this order, the long files of each first. Those that need a running stack share one.
 */
export default defineConfig({
  test: {
    // Most tests wait for something, so two cores are busy with four of them.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...limits,
          name: "unit",
          sequence: { groupOrder: 0 },
          include: [
            "{functions,shared,local,bench}/**/*.test.ts",
            "tests/chaos/**/*.test.ts",
            "client/*.test.ts",
            "web/src/**/*.test.ts",
          ],
          exclude: OF_BUILD,
        },
        // From their sources, as the page has them.
        resolve: {
          alias: {
            "@nonstop/chat-client/indexeddb": at("client/indexedDbOutbox.ts"),
            "@nonstop/chat-client": at("client/index.ts"),
          },
        },
      },
      {
        test: {
          ...limits,
          name: "servers",
          sequence: { groupOrder: 1 },
          include: [...SERVERS, ...OF_BUILD],
          exclude: ALSO_LONG,
          globalSetup: ["tests/support/built.ts"],
        },
      },
      {
        test: {
          ...limits,
          name: "stack",
          sequence: { groupOrder: 1 },
          include: ["tests/{contracts,integration,e2e}/**/*.test.ts"],
          exclude: [...SERVERS, ...ALONE, ...ALSO_LONG],
          globalSetup: ["tests/support/stack.ts"],
        },
      },
      {
        test: {
          ...limits,
          name: "alone",
          sequence: { groupOrder: 2 },
          maxWorkers: 1,
          include: ALONE,
          globalSetup: ["tests/support/stack.ts"],
        },
      },
      {
        // `npm run check:infra`: the templates, the package, and what else is for the deployment.
        test: {
          ...limits,
          name: "infra",
          sequence: { groupOrder: 4 },
          maxWorkers: 1,
          include: ["tests/infra/**/*.test.ts"],
        },
      },
      {
        // Not in `npm test`: what runs for minutes, or on stacks of its own.
        test: {
          ...limits,
          name: "long",
          sequence: { groupOrder: 3 },
          // Each may have a stack of its own.
          maxWorkers: 2,
          include: ["tests/long/**/*.test.ts", ...ALSO_LONG],
          globalSetup: ["tests/support/stack.ts"],
        },
      },
    ],
  },
});
