import { endedKey, idsKey, sessionsKey, subscriptionsKey } from "./keys.js";
import type { NotedSubscription, Subscriptions } from "./ports.js";
import { type Asking, yesOrNo } from "./scripts.js";

/**
 * Subscriptions in Redis: the ids taken for each user and destination, and for some minutes what each
 * connection subscribed to.
 */
export function subscriptions({ script }: Asking): Subscriptions {
  return {
    async takeId(userId, connectionId, key, id, limit) {
      const keys = [sessionsKey(userId), idsKey(userId, key)] as const;
      return yesOrNo(await script<number>("takeId", keys, { connectionId, id, limit }));
    },
    async leaveId(userId, connectionId, key, id) {
      await script("leaveId", [idsKey(userId, key)], { connectionId, id });
    },
    async noteSubscription(userId, connectionId, { lane, wire }) {
      const keys = [endedKey(userId), subscriptionsKey(userId, connectionId)] as const;
      return yesOrNo(await script<number>("noteSubscription", keys, { connectionId, lane, wire }));
    },
  };
}

/** A subscription as `lua/noteSubscription.lua` writes it. A lane has no spaces. */
export function notedSubscription(text: string): NotedSubscription {
  const end = text.indexOf(" ");
  return { lane: text.slice(0, end), wire: text.slice(end + 1) };
}
