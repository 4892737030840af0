import { rateKey } from "./keys.js";
import type { Rates } from "./ports.js";
import type { Asking } from "./scripts.js";
import type { Timing } from "./timing.js";

/** Rates in Redis: a list of moments for each user and kind (`lua/slidingWindow.lua`). */
export function rates({ script }: Asking, { windowMs }: Pick<Timing, "windowMs">): Rates {
  return {
    take: (userId, { kind, limit }) => script<number>("take", [rateKey(userId, kind)], { limit, windowMs }),
  };
}
