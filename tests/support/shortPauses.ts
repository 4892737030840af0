import { vi } from "vitest";

// In place of `node:timers/promises`, for tests in which much is tried again: a pause between tries is a
// hundredth of what it is. Limits of time, which are waited for with a signal, stay as they are.
// `vi.mock("node:timers/promises", () => import("../support/shortPauses.js"))` puts it there.

const real = await vi.importActual<typeof import("node:timers/promises")>("node:timers/promises");

export const { setImmediate, setInterval, scheduler } = real;

export const setTimeout: typeof real.setTimeout = (ms = 0, value, options) =>
  real.setTimeout(options ? ms : ms / 100, value, options);
