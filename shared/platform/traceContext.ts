import { AsyncLocalStorage } from "node:async_hooks";
import { type Context, type ContextManager, context, ROOT_CONTEXT } from "@opentelemetry/api";

type Anything = (...args: unknown[]) => unknown;

/** What OpenTelemetry's API knows as current, kept over asynchronous calls. */
class AsyncContexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }

  with<Args extends unknown[], F extends (...args: Args) => ReturnType<F>>(
    active: Context,
    work: F,
    thisArg?: ThisParameterType<F>,
    ...args: Args
  ): ReturnType<F> {
    // Before its first use the storage costs nothing; from then on each promise of the process pays for it.
    if (active === this.active()) return work.call(thisArg, ...args);
    return this.#storage.run(active, () => work.call(thisArg, ...args));
  }

  bind<T>(active: Context, target: T): T {
    if (typeof target !== "function") return target;
    const bound: Anything = (...args) => this.#storage.run(active, target as unknown as Anything, ...args);
    return bound as T;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    this.#storage.disable();
    return this;
  }
}

/**
 * Keeps traces over asynchronous calls, also where no provider is registered: then a caller's trace goes
 * through. A manager that is registered already stays.
 */
export function keepContexts(): void {
  context.setGlobalContextManager(new AsyncContexts());
}
