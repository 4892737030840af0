import type { Member, Message } from "./types.js";

/** One move of a member's read position, as `/read` brings it. */
export interface ReadMove {
  readonly userId: number;
  readonly lastReadMessageId: number;
  readonly lastReadSeq: number;
}

/** A move of one member, or in large rooms several in one. */
export type ReadMessage = ReadMove | { readonly reads: readonly ReadMove[] };

export const movesOf = (message: ReadMessage): readonly ReadMove[] =>
  "reads" in message ? message.reads : [message];

/**
 * Who has read how far, and from that how many have not read a message. Reads and messages travel independently, so counts are never
 * lowered step by step: positions only move forward, and a repeat or a late one changes nothing.
 */
export class Readers {
  /** The furthest known position of each user, as a message id; ids rise with `seq` within a room. */
  readonly #positions = new Map<number, number>();
  #members: Map<number, number> | undefined;
  #sorted: number[] | undefined;

  /** Whether anything may count otherwise now. */
  move(userId: number, messageId: number): boolean {
    if (messageId <= (this.#positions.get(userId) ?? 0)) return false;
    this.#positions.set(userId, messageId);
    this.#sorted = undefined;
    return true;
  }

  positionOf(userId: number): number {
    return Math.max(this.#positions.get(userId) ?? 0, this.#members?.get(userId) ?? 0);
  }

  /** None as long as they are not known. */
  get memberCount(): number {
    return this.#members?.size ?? 0;
  }

  /** The members of a group as the service has just told them. */
  setMembers(members: readonly Pick<Member, "userId" | "lastReadMessageId">[]): void {
    this.#members = new Map(members.map((member) => [member.userId, member.lastReadMessageId ?? 0]));
    this.#sorted = undefined;
  }

  /** Until the service tells: who was invited has read what was there before, and who is gone counts no more. */
  apply({ type, target, messageId }: Message): void {
    if (!target || !this.#members) return;
    if (type === "SYSTEM_INVITE") {
      if (!this.#members.has(target.userId)) this.#members.set(target.userId, messageId - 1);
    } else this.#members.delete(target.userId);
    this.#sorted = undefined;
  }

  /**
   * In a group whose members are known: those whose position is before the message. Else the count that came with the
   * message, which in a room of two is one or none: none as soon as the one who did not send it has read it.
   */
  unreadCount(message: Message): number {
    if (this.#members) return this.#behind(message.messageId);
    if (message.unreadCount === 0) return 0;
    for (const [userId, position] of this.#positions)
      if (userId !== message.senderId && position >= message.messageId) return 0;
    return message.unreadCount;
  }

  /** How many of the sorted positions are below, by halving. */
  #behind(messageId: number): number {
    this.#sorted ??= [...this.#members!.keys()]
      .map((userId) => this.positionOf(userId))
      .sort((a, b) => a - b);
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sorted[middle]! < messageId) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
