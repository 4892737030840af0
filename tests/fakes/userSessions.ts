import type { EndReason, EvictedSession } from "../../shared/redis/ports.js";
import type { Timing } from "../../shared/redis/timing.js";

/** What a session with a slot is known by. */
export interface Slot {
  readonly connectionId: string;
  readonly device: string | undefined;
  readonly likeness: string | undefined;
  readonly takesOver: boolean;
  readonly order: number;
  queue: string;
}

/** One user's sessions, and those that have lost their slot. */
export class FakeUserSessions {
  readonly slots = new Map<string, Slot>();
  readonly closing = new Map<string, { readonly evicted: EvictedSession; claimedUntil: number }>();
  readonly ended = new Set<string>();
  readonly logouts = new Map<string, number>();
  readonly #returns = new Map<string, { first: number; last: number }>();
  readonly #timing: Timing;

  constructor(timing: Timing) {
    this.#timing = timing;
  }

  /** Whether a new session is one that the limit has evicted and that came straight back by itself. */
  comesBack({ device, likeness, takesOver }: Slot, now: number): boolean {
    if (takesOver) return false;
    const moments = this.#returns.get(device ?? likeness ?? "");
    if (!moments || now - moments.last > this.#timing.returnMs) return false;
    return device !== undefined || now - moments.first >= this.#timing.othersMs;
  }

  #noteReturn({ device, likeness }: Slot, now: number): void {
    const look = device ?? likeness;
    if (!look) return;
    const known = this.#returns.get(look);
    const goesOn = known && now - known.last <= this.#timing.returnMs;
    this.#returns.set(look, { first: goesOn ? known.first : now, last: now });
  }

  evict(slot: Slot, reason: EndReason, now: number): EvictedSession {
    const { connectionId, queue } = slot;
    const evicted = { connectionId, reason, queue };
    if (reason === "SESSION_LIMIT") this.#noteReturn(slot, now);
    this.slots.delete(connectionId);
    this.ended.add(connectionId);
    this.closing.set(connectionId, { evicted, claimedUntil: now + this.#timing.claimMs });
    return evicted;
  }

  /** Claims what nobody is at, or what `isFree` says. */
  claim(now: number, isFree = (until: number): boolean => until <= now): EvictedSession[] {
    const free = [...this.closing.values()].filter(({ claimedUntil }) => isFree(claimedUntil));
    return free.map((one) => {
      one.claimedUntil = now + this.#timing.claimMs;
      return one.evicted;
    });
  }

  byOrder(): Slot[] {
    return [...this.slots.values()].sort((a, b) => a.order - b.order);
  }
}
