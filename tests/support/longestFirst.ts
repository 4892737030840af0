import { BaseSequencer, type TestSpecification } from "vitest/node";

/** The files that take longest, by a measured run: in each project the longest comes first. */
const LONGEST: readonly string[] = [
  // unit
  "shared/stomp/fuzz.test.ts",
  "shared/stomp/receivers.test.ts",
  "client/chatClient.test.ts",
  "shared/upstream/fuzz.test.ts",
  "local/setup.test.ts",
  "local/services/services.test.ts",
  "shared/auth/verifier.test.ts",
  "client/stompFrames.test.ts",
  "shared/platform/invisible.test.ts",
  "shared/commands/pieces.test.ts",
  // servers and stack
  "tests/contracts/sessions.test.ts",
  "tests/e2e/chatClient.test.ts",
  "tests/contracts/functionsHostHttp.test.ts",
  "tests/contracts/functionsHostEventHubs.test.ts",
  "tests/e2e/page.test.ts",
  "tests/contracts/eventHubs.test.ts",
  "tests/long/pageMessages.test.ts",
  "tests/long/pageSurroundings.test.ts",
  "tests/long/chatClientOutbox.test.ts",
  "tests/integration/mergedReads.test.ts",
  "tests/integration/membershipOutbox.test.ts",
  "tests/integration/storeMessages.test.ts",
  "tests/integration/storeReads.test.ts",
  "tests/e2e/pageLooks.test.ts",
  "tests/e2e/model.test.ts",
  // long
  "tests/long/stack.test.ts",
  "tests/long/pageLooks.test.ts",
  "tests/long/rateLimits.test.ts",
  "tests/long/pageRooms.test.ts",
  "tests/contracts/functionsHostTimers.test.ts",
  "tests/long/model.test.ts",
  "tests/long/outages.test.ts",
  "tests/long/redisConnection.test.ts",
  "tests/long/chatClientWaits.test.ts",
];

/**
 * Runs a group's longest files first, so that no worker is left with one when the other has nothing to do.
 * Vitest knows how long a file takes only from an earlier run, and goes by its size in a fresh clone.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const usual = await super.sort(files);
    return usual
      .map((file, index) => ({ file, group: groupOf(file), rank: rankOf(file), index }))
      .sort((a, b) => a.group - b.group || a.rank - b.rank || a.index - b.index)
      .map(({ file }) => file);
  }
}

const groupOf = ({ project }: TestSpecification): number => project.config.sequence.groupOrder;

function rankOf({ moduleId }: TestSpecification): number {
  const rank = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}`));
  return rank === -1 ? LONGEST.length : rank;
}
