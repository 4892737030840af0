import { randomOf } from "../random.js";

/** Choices that one seed repeats. */
export class Random {
  /** At least 0, less than 1. */
  readonly next: () => number;

  constructor(seed: number) {
    this.next = randomOf(seed);
  }

  /** A whole number from 0, less than `end`. */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  chance(of: number): boolean {
    return this.next() < of;
  }

  /** One of these, or nothing where there is none. */
  pick<T>(of: readonly T[]): T | undefined {
    return of[this.below(of.length)];
  }
}
