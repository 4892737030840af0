/** Typed listeners. A listener that throws doesn't keep the others from hearing. */
export class Emitter<Events extends Record<string, unknown>> {
  readonly #listeners = new Map<keyof Events, Set<(value: never) => void>>();

  /** Returns what takes the listener away again. */
  on<Name extends keyof Events>(name: Name, listener: (value: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    // A function of its own, so that the same listener can be added twice and each is taken away once.
    const own = (value: never) => listener(value as Events[Name]);
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  protected emit<Name extends keyof Events>(name: Name, value: Events[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])])
      try {
        listener(value as never);
      } catch (error) {
        // As an event target does: reported where uncaught errors are, the rest goes on.
        queueMicrotask(() => {
          throw error;
        });
      }
  }
}
