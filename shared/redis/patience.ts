/** A call waits this long for Redis, the first connection included. */
const CALL_MS = 120;
/** A call that is made while Redis seems to be in trouble waits only this long. */
const HURRIED_MS = 30;
/** A call that has waited this long shows trouble. */
const SLOW_MS = 75;
/** For this long after such a call every other call hurries. */
const HURRY_MS = 300;

/**
 * How long calls wait for their answers. A frame may ask up to four times, one call after the other and maybe
 * of several nodes. All its calls together shall lose 150 ms, not 120 ms each. So after a call that had to
 * wait for long all others hurry for a moment. A call that only finds out whether a node is back always
 * hurries.
 */
export class Patience {
  readonly #now: () => number;
  #hurriedUntil = Number.NEGATIVE_INFINITY;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * The answer, or an error when it does not come in time. An answer that came while this process was busy is
   * not late: it is read before the call gives up.
   */
  await<T>(answer: Promise<T>, isProbe: boolean): Promise<T> {
    const isHurried = isProbe || this.#now() < this.#hurriedUntil;
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout;
      let isDone = false;
      const after = (milliseconds: number, then: () => void): void => {
        // Node reads sockets between its timers and its immediates.
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
