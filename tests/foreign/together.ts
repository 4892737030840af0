import { beforeAll, describe, test } from "vitest";

export interface Step {
  readonly name: string;
  run(): Promise<void>;
}

export interface Story {
  readonly name: string;
  /** Why it can't be told on this machine. */
  readonly skipped?: string | undefined;
  /** Each goes on where the one before stopped. */
  readonly steps: readonly Step[];
}

/**
 * Makes tests of stories that mostly wait: all are told at the same time, and each test waits for its step.
 */
export function tellTogether(stories: readonly Story[], timeoutMs: number): void {
  const outcomes = new Map<Step, Promise<void>>();
  // biome-ignore lint/correctness/noEmptyPattern: the form that Vitest demands
  beforeAll(({}, { tasks }) => {
    // Not those that a filter has left out.
    const asked = new Set(tasks.filter(({ mode }) => mode === "run").map(({ name }) => name));
    for (const { name, steps } of stories) {
      let last = Promise.resolve();
      for (const step of asked.has(name) ? steps : []) {
        last = last.then(() => step.run());
        last.catch(() => {}); // its test tells it
        outcomes.set(step, last);
      }
    }
  });
  for (const { name, skipped, steps } of stories)
    describe.skipIf(skipped !== undefined)(skipped === undefined ? name : `${name} (${skipped})`, () => {
      for (const step of steps) test(step.name, () => outcomes.get(step), timeoutMs);
    });
}
