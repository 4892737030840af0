import { beforeEach, onTestFailed } from "vitest";

/**
 * What the random numbers of this file's tests begin with. A test that used some and failed prints it; the
 * same numbers come again with `SEED=… npx vitest run FILE -t NAME`. Moments on a busy machine do not.
 */
export const SEED = readSeed(process.env["SEED"]);

function readSeed(text = String(Math.floor(Math.random() * 2 ** 31))): number {
  const seed = Number(text);
  if (!Number.isInteger(seed)) throw new Error(`SEED is "${text}" but must be a whole number`);
  return seed;
}

let streams = 0;
beforeEach(() => {
  streams = 0;
});

/**
 * For a test: numbers from 0 to less than 1, in place of `Math.random`. Each call within a test begins
 * another row of numbers, so that what happens at the same time does not mix them up.
 */
export function seededRandom(): () => number {
  if (streams === 0) onTestFailed(() => console.error(`the random numbers of this test: SEED=${SEED}`));
  streams += 1;
  return randomOf(SEED + 7_919 * streams);
}

/** The row of numbers of one seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}
