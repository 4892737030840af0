import { evictedSessions, type Parts } from "./evicted.js";
import { fiveKeys, rateKey, subscriptionsKey, UNFINISHED_KEY } from "./keys.js";
import type { Admission, Sessions } from "./ports.js";
import { noteUnfinished, registering } from "./registering.js";
import { type Asking, yesOrNo } from "./scripts.js";
import { notedSubscription } from "./subscriptions.js";
import type { Timing } from "./timing.js";

/** Sessions in Redis: five keys for each user (`lua/sessions.lua`), and one for the sweep. */
export function sessions(asking: Asking, timing: Timing): Sessions {
  return {
    register: registering(asking, timing),
    ...slots(asking, timing),
    ...unfinished(asking, timing),
  };
}

/** What happens to connections that have registered, or have yet to. */
function slots(
  asking: Asking,
  { windowMs, claimMs }: Timing,
): Pick<Sessions, "admit" | "remove" | "closed" | "logOut"> {
  const { script } = asking;
  return {
    async admit({ userId, connectionId, queue }, rate) {
      const keys = [...fiveKeys(userId), rateKey(userId, rate?.kind ?? "messages")] as const;
      const args = { connectionId, queue, limit: rate?.limit ?? 0, windowMs, claimMs };
      const answer = await script<Parts>("admit", keys, args);
      return answer && admission(answer);
    },
    async remove(userId, connectionId) {
      const keys = [...fiveKeys(userId), subscriptionsKey(userId, connectionId)] as const;
      const answer = await script<[number, ...string[]]>("remove", keys, { connectionId });
      if (!answer) return undefined;
      const [hadSlot, ...noted] = answer;
      return { hadSlot: hadSlot === 1, subscriptions: noted.map(notedSubscription) };
    },
    async closed(userId, connectionId) {
      return yesOrNo(await script<number>("closed", fiveKeys(userId), { connectionId }));
    },
    async logOut(userId, device) {
      await noteUnfinished(asking, userId);
      const answer = await script<Parts>("logOut", fiveKeys(userId), { device, claimMs });
      return answer && evictedSessions(answer);
    },
  };
}

/** What the sweep asks for. */
function unfinished(
  { script }: Asking,
  { claimMs }: Timing,
): Pick<Sessions, "listUnfinished" | "claimUnfinished" | "noteLookedAfter"> {
  return {
    async listUnfinished(most) {
      const parts = (await script<Parts>("listUnfinished", [UNFINISHED_KEY], { most, claimMs })) ?? [];
      const users = parts.filter((_, index) => index % 2 === 0);
      return users.map((userId, index) => ({ userId: Number(userId), noted: Number(parts[2 * index + 1]) }));
    },
    async claimUnfinished(userId) {
      const answer = await script<Parts>("claimUnfinished", fiveKeys(userId), { claimMs });
      // Without an answer something may be left.
      const [unclosed = 1, ...evicted] = answer ?? [];
      return { unclosed: Number(unclosed), toClose: evictedSessions(evicted) };
    },
    async noteLookedAfter({ userId, noted }, isDone) {
      await script("noteLookedAfter", [UNFINISHED_KEY], { userId, noted, isDone });
    },
  };
}

function admission([standing, order, retryAfter, ...evicted]: Parts): Admission {
  return {
    standing: standing as Admission["standing"],
    ...(standing === "live" ? { order: Number(order) } : {}),
    retryAfter: Number(retryAfter),
    toClose: evictedSessions(evicted),
  };
}
