import type { EventBus } from "./eventBus.js";

const KEPT_MS = 30_000;

/** `hubId` of the port, which asks the bus anew after 30 s, or at once where a fresh answer is wanted. */
export function keepHubIds(ask: EventBus["hubId"], now: () => number): EventBus["hubId"] {
  const ids = new Map<string, { readonly id: string; readonly asked: number }>();
  return async (hub, freshness) => {
    const known = ids.get(hub);
    if (known && freshness !== "fresh" && now() - known.asked < KEPT_MS) return known.id;
    const id = await ask(hub, freshness);
    ids.set(hub, { id, asked: now() });
    return id;
  };
}
