import type { SessionStore } from "../../shared/sessions/sessionStore.js";

/** A session store in memory. */
export class FakeSessionStore implements SessionStore {
  readonly #members = new Map<number, Set<number>>();
  readonly #versions = new Map<number, number>();
  readonly #turns = new Map<number, number>();
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

  async ping(): Promise<void> {
    if (this.away) throw new Error("the fake store is away");
  }

  async close(): Promise<void> {}
}
