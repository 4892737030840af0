/** Calls typed listeners. A listener that throws doesn't keep the others from hearing. */
export class Emitter<Events extends Record<string, unknown>> {
  readonly #listeners = new Map<keyof Events, Set<(value: never) => void>>();

  /**
   * Adds a listener. Returns what takes it away again.
   *
   * @example
   * const off = client.on("connection", ({ status }) => console.log(status));
   * off();
   */
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
        // As an event target does: the error is reported as an uncaught one, and the rest goes on.
        queueMicrotask(() => {
          throw error;
        });
      }
  }
}
