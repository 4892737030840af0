import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * The files that take longest, the longest first: those of `npm test`, then those that `npm run test:all` has
 * besides.
 */
const LONGEST: readonly string[] = [];

/**
 * Runs a group's longest files first, so that no worker is left with one when the other has nothing to do.
 * Vitest by itself knows how long a file takes only from an earlier run, and goes by its size in a fresh
 * clone.
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
