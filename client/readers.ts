import { isSystem, subjectsOf } from "./systemMessages.js";
import type { Member, Message, MessageReaders, NamedUser } from "./types.js";

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
  /** Whether the room is a group, which has a list of members. */
  isGroup: boolean | undefined;
  /** The furthest known position of each user, as a message id; ids rise with `seq` within a room. */
  readonly #positions = new Map<number, number>();
  /** With the positions that the service told. */
  #members: Map<number, Member> | undefined;
  #sorted: number[] | undefined;
  #shown: readonly Member[] | undefined;

  /** A group's members with their positions, the same array until something changes; undefined as long as they are not known. */
  get members(): readonly Member[] | undefined {
    if (!this.#members) return undefined;
    this.#shown ??= [...this.#members.values()].map((member) => this.#show(member));
    return this.#shown;
  }

  /** Whether anything may count otherwise now. */
  move(userId: number, messageId: number): boolean {
    const wasAwaited = this.#arrive(userId);
    if (messageId <= (this.#positions.get(userId) ?? 0)) return wasAwaited;
    this.#positions.set(userId, messageId);
    this.#changed();
    return true;
  }

  positionOf(userId: number): number {
    return Math.max(this.#positions.get(userId) ?? 0, this.#members?.get(userId)?.lastReadMessageId ?? 0);
  }

  /** None as long as they are not known. */
  get memberCount(): number {
    return this.#members?.size ?? 0;
  }

  /** The members of a group as the service has just told them. Whoever has moved has come by now. */
  setMembers(members: readonly Member[]): void {
    this.#members = new Map(members.map((member) => [member.userId, member]));
    for (const userId of this.#positions.keys()) this.#arrive(userId);
    this.#changed();
  }

  /** Until the service tells: who was invited has read what was there before, and who is gone counts no more. */
  apply(message: Message): void {
    const members = this.#members;
    if (!members) return;
    for (const subject of subjectsOf(message))
      if (message.type !== "SYSTEM_INVITE") {
        members.delete(subject.userId);
        // They may come back as somebody who has never been here.
        this.#positions.delete(subject.userId);
      } else if (!members.has(subject.userId)) members.set(subject.userId, invited(subject, message));
    this.#changed();
  }

  /**
   * In a group whose members are known: those whose position is before the message. Else the count that came with the
   * message, which in a room of two is one or none: none as soon as the one who did not send it has read it.
   */
  unreadCount(message: Message): number {
    if (isSystem(message)) return 0;
    if (this.#members) return this.#behind(message.messageId);
    if (message.unreadCount === 0 || this.isGroup) return message.unreadCount;
    for (const [userId, position] of this.#positions)
      if (userId !== message.senderId && position >= message.messageId) return 0;
    return message.unreadCount;
  }

  /** Whether the service counts somebody who is still awaited here, and has come without our hearing of it. */
  lacks(message: Message): boolean {
    const isAwaiting = [...(this.#members?.values() ?? [])].some(({ isAwaited }) => isAwaited);
    return isAwaiting && message.unreadCount > this.unreadCount(message);
  }

  /** Undefined where there is no list of members, and of system messages, which nobody has to read. */
  readersOf(message: Message): MessageReaders | undefined {
    if (isSystem(message)) return undefined;
    const { messageId } = message;
    const sentAt = Date.parse(message.sentAt);
    const members = this.members?.filter(({ isAwaited }) => !isAwaited);
    const hasRead = ({ lastReadMessageId }: Member) => (lastReadMessageId ?? 0) >= messageId;
    return (
      members && {
        readBy: members.filter((member) => hasRead(member) && Date.parse(member.joinedAt) <= sentAt),
        notReadBy: members.filter((member) => !hasRead(member)),
      }
    );
  }

  /** Who was awaited until now is so no more. */
  #arrive(userId: number): boolean {
    const member = this.#members?.get(userId);
    if (!member?.isAwaited) return false;
    this.#members!.set(userId, { ...member, isAwaited: false });
    this.#changed();
    return true;
  }

  #show(member: Member): Member {
    const position = this.positionOf(member.userId);
    return position === (member.lastReadMessageId ?? 0) ? member : { ...member, lastReadMessageId: position };
  }

  #changed(): void {
    this.#sorted = undefined;
    this.#shown = undefined;
  }

  /** How many of the sorted positions are below, by halving. */
  #behind(messageId: number): number {
    this.#sorted ??= [...this.#members!.values()]
      .filter(({ isAwaited }) => !isAwaited)
      .map(({ userId }) => this.positionOf(userId))
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

/** What is known of a new member until the list is asked for. */
const invited = ({ userId, nickname }: NamedUser, { sentAt, messageId }: Message): Member => ({
  userId,
  nickname,
  profileImageUrl: null,
  joinedAt: sentAt,
  isCreator: false,
  lastReadMessageId: messageId - 1,
});
