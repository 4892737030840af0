import type {
  Admission,
  EndedSession,
  EndReason,
  Rate,
  Registered,
  Registering,
  Session,
  SessionStore,
} from "../../shared/sessions/sessionStore.js";

const WINDOW_MS = 60_000;
const CLAIM_MS = 5_000;
const OPENING_MS = 2_000;
const OPENED_BY_MS = 10_000;

interface Place {
  readonly connectionId: string;
  readonly device: string | undefined;
  readonly order: number;
  readonly since: number;
  isOpen: boolean;
  queue: string;
}

interface Closing {
  readonly reason: EndReason;
  readonly place: Place;
  claimedUntil: number;
}

/** One user's sessions, and those that have lost their place. */
class UserSessions {
  readonly places = new Map<string, Place>();
  readonly closing = new Map<string, Closing>();
  readonly ended = new Set<string>();

  end(place: Place, reason: EndReason, now: number): EndedSession {
    this.places.delete(place.connectionId);
    this.ended.add(place.connectionId);
    this.closing.set(place.connectionId, { reason, place, claimedUntil: now + CLAIM_MS });
    return ended(place, reason, now);
  }

  claim(now: number): EndedSession[] {
    const free = [...this.closing.values()].filter(({ claimedUntil }) => claimedUntil <= now);
    return free.map((one) => {
      one.claimedUntil = now + CLAIM_MS;
      return ended(one.place, one.reason, now);
    });
  }
}

const ended = (
  { connectionId, queue, isOpen, since }: Place,
  reason: EndReason,
  now: number,
): EndedSession => ({
  connectionId,
  reason,
  queue,
  opening: !isOpen && now - since < OPENED_BY_MS,
});

/** A session store in memory. */
export class FakeSessionStore implements SessionStore {
  readonly #members = new Map<number, Set<number>>();
  readonly #versions = new Map<number, number>();
  readonly #turns = new Map<number, number>();
  readonly #users = new Map<number, UserSessions>();
  readonly #moments = new Map<string, number[]>();
  /** Its clock, in milliseconds. */
  now: () => number = Date.now;
  /** While set, it answers as a store that can't be reached. */
  away = false;

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
    if ((this.#turns.get(roomId) ?? 0) > Date.now()) return false;
    this.#turns.set(roomId, Date.now() + withinMs);
    return true;
  }

  async register(
    session: Session,
    { limit, isOpen, whichAreGone }: Registering,
  ): Promise<Registered | undefined> {
    const asked = new Set<string>();
    const gone = new Set<string>();
    for (let rounds = 0; !this.away; rounds += 1) {
      const ask = this.#unasked(session, limit, asked, gone);
      if (ask.length === 0 || rounds === 3) return this.#register(session, limit, isOpen, gone);
      const found = await whichAreGone(ask);
      for (const id of ask) asked.add(id);
      for (const id of found) gone.add(id);
    }
    return undefined;
  }

  #user(userId: number): UserSessions {
    const user = this.#users.get(userId) ?? new UserSessions();
    this.#users.set(userId, user);
    return user;
  }

  #settled = ({ isOpen, since }: Place): boolean => isOpen || this.now() - since > OPENING_MS;

  /** Whom to ask for before somebody would lose their place. */
  #unasked(session: Session, limit: number, asked: Set<string>, gone: Set<string>): string[] {
    const user = this.#user(session.userId);
    if (user.ended.has(session.connectionId)) return [];
    const others = [...user.places.values()].filter(
      (place) =>
        place.connectionId !== session.connectionId &&
        !(gone.has(place.connectionId) && this.#settled(place)) &&
        (session.device === undefined || place.device !== session.device),
    );
    if (limit === 0 || others.length + 1 <= limit) return [];
    return others
      .filter((one) => this.#settled(one) && !asked.has(one.connectionId))
      .map((one) => one.connectionId);
  }

  #register(session: Session, limit: number, isOpen: boolean, gone: Set<string>): Registered {
    const { userId, connectionId, device } = session;
    const [user, now] = [this.#user(userId), this.now()];
    if (user.ended.has(connectionId))
      return { standing: "ended", order: 0, gone: 0, toClose: user.claim(now) };
    const newest = Math.max(0, ...[...user.places.values()].map(({ order }) => order));
    const freed = [...user.places.values()].filter((one) => gone.has(one.connectionId) && this.#settled(one));
    for (const one of freed) user.places.delete(one.connectionId);
    const before = user.places.get(connectionId);
    const order = before?.order ?? session.order ?? Math.max(now, newest + 1);
    const own = { connectionId, device, order, since: now, isOpen: isOpen || before?.isOpen === true };
    user.places.set(connectionId, { ...own, queue: session.queue || before?.queue || "" });
    const byAge = (): Place[] => [...user.places.values()].sort((a, b) => a.order - b.order);
    const sameDevice = byAge().filter((one) => device !== undefined && one.device === device);
    const toClose = sameDevice.slice(0, -1).map((one) => user.end(one, "DEVICE_RECONNECTED", now));
    const over = limit === 0 ? 0 : Math.max(0, user.places.size - limit);
    toClose.push(
      ...byAge()
        .slice(0, over)
        .map((one) => user.end(one, "SESSION_LIMIT", now)),
    );
    toClose.push(...user.claim(now));
    const standing = user.places.has(connectionId) ? "live" : "ended";
    return { standing, order, gone: freed.length, toClose };
  }

  async admit(session: Session, rate?: Rate): Promise<Admission | undefined> {
    if (this.away) return undefined;
    const user = this.#user(session.userId);
    const place = user.places.get(session.connectionId);
    const isEnded = !place && user.ended.has(session.connectionId);
    if (place) {
      place.isOpen = true;
      place.queue = session.queue ?? place.queue;
    }
    const retryAfter = isEnded || !rate ? 0 : this.#take(session.userId, rate);
    const toClose = user.claim(this.now());
    return { standing: place ? "live" : isEnded ? "ended" : "unknown", retryAfter, toClose };
  }

  async take(userId: number, rate: Rate): Promise<number | undefined> {
    return this.away ? undefined : this.#take(userId, rate);
  }

  #take(userId: number, { kind, limit }: Rate): number {
    const now = this.now();
    const moments = (this.#moments.get(`${userId} ${kind}`) ?? []).filter((one) => one + WINDOW_MS >= now);
    this.#moments.set(`${userId} ${kind}`, moments);
    if (moments.length >= limit)
      return Math.ceil((moments[moments.length - limit]! + WINDOW_MS + 1 - now) / 1_000);
    moments.push(now);
    return 0;
  }

  async remove(userId: number, connectionId: string): Promise<boolean | undefined> {
    if (this.away) return undefined;
    const user = this.#user(userId);
    user.ended.add(connectionId);
    user.closing.delete(connectionId);
    return user.places.delete(connectionId);
  }

  async closed(userId: number, connectionId: string): Promise<void> {
    if (!this.away) this.#user(userId).closing.delete(connectionId);
  }

  async leave(userId: number, connectionId: string): Promise<void> {
    const closing = this.#user(userId).closing.get(connectionId);
    if (closing && !this.away) closing.claimedUntil = this.now();
  }

  async takeOn(userId: number, connectionId: string): Promise<boolean> {
    const closing = this.#user(userId).closing.get(connectionId);
    if (this.away || !closing || closing.claimedUntil > this.now()) return false;
    closing.claimedUntil = this.now() + CLAIM_MS;
    return true;
  }

  async logOut(userId: number, device: string | undefined): Promise<readonly EndedSession[] | undefined> {
    if (this.away) return undefined;
    const user = this.#user(userId);
    const places = [...user.places.values()].filter((one) => device === undefined || one.device === device);
    return places.map((one) => user.end(one, "LOGGED_OUT", this.now()));
  }

  async ping(): Promise<void> {
    if (this.away) throw new Error("the fake store is away");
  }

  async close(): Promise<void> {}
}
