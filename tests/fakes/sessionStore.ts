import type {
  Admission,
  EvictedSession,
  NotedSubscription,
  Rate,
  RedisStore,
  Registered,
  Registering,
  Removed,
  Session,
  Unfinished,
} from "../../shared/redis/ports.js";
import type { RedisOptions } from "../../shared/redis/redis.js";
import { TIMING, type Timing } from "../../shared/redis/timing.js";
import { FakeUserSessions } from "./userSessions.js";

/** A session store in memory, with the times of the real one. */
export class FakeSessionStore implements RedisStore {
  readonly #members = new Map<number, Set<number>>();
  readonly #versions = new Map<number, number>();
  readonly #turns = new Map<number, number>();
  readonly #users = new Map<number, FakeUserSessions>();
  readonly #moments = new Map<string, number[]>();
  readonly #unfinished = new Map<number, number>();
  readonly #faultyUntil = new Map<string, number>();
  readonly #timing: Timing;
  /** Its clock, in milliseconds since 1970. */
  now: () => number;
  /** While set, it answers as a store that can't be reached. */
  away = false;

  constructor({ now = Date.now, ...times }: RedisOptions = {}) {
    this.now = now;
    this.#timing = { ...TIMING, ...times };
  }

  async isMember(roomId: number, userId: number): Promise<boolean | undefined> {
    return this.away ? undefined : this.#members.get(roomId)?.has(userId);
  }

  async membersVersion(roomId: number): Promise<string | undefined> {
    return this.away ? undefined : String(this.#versions.get(roomId) ?? 0);
  }

  async putMembers(roomId: number, userIds: readonly number[], version: string | undefined): Promise<void> {
    // At once, as the script does: a drop can't come in between.
    const current = String(this.#versions.get(roomId) ?? 0);
    if (this.away || userIds.length === 0 || version !== current) return;
    this.#members.set(roomId, new Set(userIds));
  }

  async dropMembers(roomId: number): Promise<void> {
    if (this.away) return;
    this.#members.delete(roomId);
    this.#versions.set(roomId, (this.#versions.get(roomId) ?? 0) + 1);
  }

  async takeReadTurn(roomId: number, withinMs: number): Promise<boolean | undefined> {
    if (this.away) return undefined;
    if ((this.#turns.get(roomId) ?? 0) > this.now()) return false;
    this.#turns.set(roomId, this.now() + withinMs);
    return true;
  }

  async register(session: Session, how: Registering): Promise<Registered | undefined> {
    const asked = new Set<string>();
    const gone = new Set<string>();
    for (let rounds = 0; !this.away; rounds += 1) {
      const ask = this.#unasked(session, how.limit, asked, gone);
      if (ask.length === 0 || rounds === 3) return this.#register(session, how.limit, gone);
      this.#unfinished.set(session.userId, this.now());
      const found = await how.whichAreGone(ask);
      for (const id of ask) asked.add(id);
      for (const id of found) gone.add(id);
    }
    return undefined;
  }

  #user(userId: number): FakeUserSessions {
    const user = this.#users.get(userId) ?? new FakeUserSessions(this.#timing);
    this.#users.set(userId, user);
    return user;
  }

  /** The sessions to ask for before a session would lose its slot. */
  #unasked(
    { userId, connectionId, device }: Session,
    limit: number,
    asked: Set<string>,
    gone: Set<string>,
  ): string[] {
    const user = this.#user(userId);
    if (user.ended.has(connectionId)) return [];
    const others = [...user.slots.values()].filter(
      (one) => one.connectionId !== connectionId && !gone.has(one.connectionId),
    );
    const sameDevice = others.filter((one) => device !== undefined && one.device === device);
    const over = limit > 0 && others.length - sameDevice.length + 1 > limit;
    if (!over && sameDevice.length === 0) return [];
    return others.map((one) => one.connectionId).filter((id) => !asked.has(id));
  }

  #register(session: Session, limit: number, gone: Set<string>): Registered {
    const { userId, connectionId, device, likeness, takesOver = false, age = 0 } = session;
    const [user, now] = [this.#user(userId), this.now()];
    if (user.ended.has(connectionId)) {
      const isTaken = (user.closing.get(connectionId)?.claimedUntil ?? 0) > now;
      const own = user.claim(now).filter((one) => one.connectionId === connectionId);
      return { standing: isTaken ? "closing" : "evicted", order: 0, gone: 0, isNew: false, toClose: own };
    }
    const newest = Math.max(0, ...[...user.slots.values()].map(({ order }) => order));
    const freed = [...gone].filter((id) => user.slots.delete(id)).length;
    const before = user.slots.get(connectionId);
    const usual = age >= this.#timing.lateMs ? now - age : Math.max(now, newest + 1);
    const order = before?.order ?? session.order ?? usual;
    user.slots.set(connectionId, {
      connectionId,
      device,
      likeness,
      takesOver,
      order,
      queue: session.queue || before?.queue || "",
    });
    const sameDevice = user.byOrder().filter((one) => device !== undefined && one.device === device);
    const toClose = sameDevice.slice(0, -1).map((one) => user.evict(one, "DEVICE_RECONNECTED", now));
    let over = limit === 0 ? 0 : Math.max(0, user.slots.size - limit);
    const newcomer = before || session.order ? undefined : user.slots.get(connectionId);
    if (over > 0 && newcomer && user.comesBack(newcomer, now)) {
      toClose.push(user.evict(newcomer, "SESSION_LIMIT", now));
      over -= 1;
    }
    toClose.push(
      ...user
        .byOrder()
        .slice(0, over)
        .map((one) => user.evict(one, "SESSION_LIMIT", now)),
    );
    const loggedOut = Math.max(...["", device ?? "-"].map((name) => user.logouts.get(name) ?? 0));
    const own = user.slots.get(connectionId);
    const connectedAt = session.order ?? now - age;
    if (own && !before && connectedAt < loggedOut - this.#timing.clocksMs)
      toClose.push(user.evict(own, "LOGGED_OUT", now));
    toClose.push(...user.claim(now));
    const standing = user.slots.has(connectionId) ? "live" : "evicted";
    return { standing, order, gone: freed, isNew: !before, toClose };
  }

  async admit(session: Session, rate?: Rate): Promise<Admission | undefined> {
    if (this.away) return undefined;
    const user = this.#user(session.userId);
    const slot = user.slots.get(session.connectionId);
    if (!slot && user.ended.has(session.connectionId)) {
      const closing = user.closing.get(session.connectionId);
      if (!closing) return { standing: "evicted", retryAfter: 0, toClose: [] };
      if (closing.claimedUntil > this.now()) return { standing: "closing", retryAfter: 0, toClose: [] };
      closing.claimedUntil = this.now() + this.#timing.claimMs;
      return { standing: "evicted", retryAfter: 0, toClose: [closing.evicted] };
    }
    if (slot) slot.queue = session.queue ?? slot.queue;
    const retryAfter = rate ? this.#take(session.userId, rate) : 0;
    const toClose = user.claim(this.now());
    return slot
      ? { standing: "live", order: slot.order, retryAfter, toClose }
      : { standing: "unknown", retryAfter, toClose };
  }

  async take(userId: number, rate: Rate): Promise<number | undefined> {
    return this.away ? undefined : this.#take(userId, rate);
  }

  #take(userId: number, { kind, limit }: Rate): number {
    const now = this.now();
    const moments = (this.#moments.get(`${userId} ${kind}`) ?? []).filter(
      (one) => one + this.#timing.windowMs >= now,
    );
    this.#moments.set(`${userId} ${kind}`, moments);
    if (moments.length >= limit)
      return Math.ceil((moments[moments.length - limit]! + this.#timing.windowMs + 1 - now) / 1_000);
    moments.push(now);
    return 0;
  }

  async remove(userId: number, connectionId: string): Promise<Removed | undefined> {
    if (this.away) return undefined;
    const user = this.#user(userId);
    user.ended.add(connectionId);
    user.closing.delete(connectionId);
    return {
      hadSlot: user.slots.delete(connectionId),
      subscriptions: this.#noted.get(`${userId} ${connectionId}`) ?? [],
    };
  }

  async closed(userId: number, connectionId: string): Promise<boolean | undefined> {
    return this.away ? undefined : this.#user(userId).closing.delete(connectionId);
  }

  async logOut(userId: number, device: string | undefined): Promise<readonly EvictedSession[] | undefined> {
    if (this.away) return undefined;
    const [user, now] = [this.#user(userId), this.now()];
    this.#unfinished.set(userId, now);
    user.logouts.set(device ?? "", now);
    const before = user.claim(now, () => true);
    const slots = [...user.slots.values()].filter((one) => device === undefined || one.device === device);
    return [...slots.map((one) => user.evict(one, "LOGGED_OUT", now)), ...before];
  }

  async listUnfinished(most: number): Promise<readonly Unfinished[]> {
    if (this.away) return [];
    const due = [...this.#unfinished].filter(([, noted]) => noted <= this.now() - this.#timing.claimMs);
    const oldest = due.sort(([, a], [, b]) => a - b).slice(0, most);
    return oldest.map(([userId, noted]) => ({ userId, noted }));
  }

  async claimUnfinished(userId: number): Promise<{ toClose: readonly EvictedSession[]; unclosed: number }> {
    if (this.away) return { toClose: [], unclosed: 1 };
    const user = this.#user(userId);
    return { toClose: user.claim(this.now()), unclosed: user.closing.size };
  }

  async noteLookedAfter({ userId, noted }: Unfinished, isDone: boolean): Promise<void> {
    if (this.away || this.#unfinished.get(userId) !== noted) return;
    if (isDone) this.#unfinished.delete(userId);
    else this.#unfinished.set(userId, this.now());
  }

  readonly #ids = new Map<string, Set<string>>();

  async takeId(
    userId: number,
    connectionId: string,
    key: string,
    id: string,
    limit: number,
  ): Promise<boolean | undefined> {
    if (this.away) return undefined;
    const entries = this.#ids.get(`${userId} ${key}`) ?? new Set<string>();
    this.#ids.set(`${userId} ${key}`, entries);
    const ids = new Set<string>();
    for (const entry of [...entries]) {
      const [owner, ...rest] = entry.split(" ") as [string, ...string[]];
      if (owner !== connectionId && !this.#user(userId).slots.has(owner)) entries.delete(entry);
      else ids.add(rest.join(" "));
    }
    if (!ids.has(id) && ids.size >= limit) return false;
    entries.add(`${connectionId} ${id}`);
    return true;
  }

  async leaveId(userId: number, connectionId: string, key: string, id: string): Promise<void> {
    if (!this.away) this.#ids.get(`${userId} ${key}`)?.delete(`${connectionId} ${id}`);
  }

  readonly #noted = new Map<string, NotedSubscription[]>();

  async noteSubscription(
    userId: number,
    connectionId: string,
    subscription: NotedSubscription,
  ): Promise<boolean | undefined> {
    if (this.away) return undefined;
    if (this.#user(userId).ended.has(connectionId)) return false;
    const noted = this.#noted.get(`${userId} ${connectionId}`) ?? [];
    const isNew = !noted.some(({ lane, wire }) => lane === subscription.lane && wire === subscription.wire);
    if (isNew) this.#noted.set(`${userId} ${connectionId}`, [...noted, subscription]);
    return true;
  }

  readonly #pieces = new Map<string, Buffer>();

  async keepPiece(userId: number, frame: string, offset: number, bytes: Uint8Array): Promise<boolean> {
    const before = this.#pieces.get(`${userId} ${frame}`) ?? Buffer.alloc(0);
    if (this.away || before.length < offset) return false;
    const behind = offset === 0 ? [] : [before.subarray(offset + bytes.length)];
    const pieces = Buffer.concat([before.subarray(0, offset), bytes, ...behind]);
    this.#pieces.set(`${userId} ${frame}`, pieces);
    return true;
  }

  async readPieces(userId: number, frame: string, length: number): Promise<Uint8Array | undefined> {
    const pieces = this.#pieces.get(`${userId} ${frame}`);
    return this.away || !pieces || pieces.length < length ? undefined : pieces.subarray(0, length);
  }

  async noteFault(name: string, forMs: number): Promise<void> {
    if (!this.away) this.#faultyUntil.set(name, this.now() + forMs);
  }

  async hasFault(name: string): Promise<boolean> {
    return !this.away && this.now() < (this.#faultyUntil.get(name) ?? 0);
  }

  async ping(): Promise<void> {
    if (this.away) throw new Error("the fake store is away");
  }

  async close(): Promise<void> {}
}
