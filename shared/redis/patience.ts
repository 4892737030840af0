/** A call waits so long for Redis, the first connection included. */
const CALL_MS = 120;
/** Who asks when Redis seems to be in trouble waits only so long. */
const HURRIED_MS = 30;
/** A call that has waited so long shows trouble. */
const SLOW_MS = 75;
/** For so long after it every call hurries. */
const HURRY_MS = 300;

/**
 * How long calls wait for their answers. A frame has up to four questions, one after the other and maybe to several nodes, and shall lose 150 ms in all, not 120 with each. So after a call that had
 * to wait for long all others hurry for a moment, and those that only try whether a node is back always do.
 */
export class Patience {
  readonly #now: () => number;
  #hurriedUntil = Number.NEGATIVE_INFINITY;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The answer, or an error when it does not come in time. What came while this process was busy is not late: it is read before giving up. */
  await<T>(answer: Promise<T>, isProbe: boolean): Promise<T> {
    const isHurried = isProbe || this.#now() < this.#hurriedUntil;
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout;
      let isDone = false;
      const after = (milliseconds: number, then: () => void): void => {
        // Sockets are read between the timers and the immediates.
        timer = setTimeout(() => setImmediate(() => isDone || then()), milliseconds);
      };
      const giveUp = (milliseconds: number) => () =>
        reject(new Error(`Redis did not answer within ${milliseconds} ms`));
      const slow = (): void => {
        this.#hurriedUntil = this.#now() + HURRY_MS;
        after(CALL_MS - SLOW_MS, giveUp(CALL_MS));
      };
      if (isHurried) after(HURRIED_MS, giveUp(HURRIED_MS));
      else after(SLOW_MS, slow);
      answer.then(resolve, reject).finally(() => {
        isDone = true;
        clearTimeout(timer);
      });
    });
  }
}
