import { isSystem, subjectsOf } from "./systemMessages.js";
import type { Member, Message, MessageReaders, NamedUser } from "./types.js";

/** One move of a member's read position, as the service sends it. */
export interface ReadMove {
  readonly userId: number;
  readonly lastReadMessageId: number;
  readonly lastReadSeq: number;
}

/** A message on `/read`: a move of one member, or in large rooms several. */
export type ReadMessage = ReadMove | { readonly reads: readonly ReadMove[] };

export const movesOf = (message: ReadMessage): readonly ReadMove[] =>
  "reads" in message ? message.reads : [message];

/**
 * How far each user has read, and so how many have not read a message. Reads and messages travel
 * independently: instead of lowering counts step by step this keeps positions, which only move forward, so
 * that a repeat or a late move changes nothing.
 */
export class Readers {
  /** Whether the room is a group, which has a list of members. */
  isGroup: boolean | undefined;
  /** The furthest known position of each user, as a message id; ids rise with `seq` within a room. */
  readonly #positions = new Map<number, number>();
  /** The members with the positions that the service told. */
  #members: Map<number, Member> | undefined;
  #sorted: number[] | undefined;
  #shown: readonly Member[] | undefined;

  /**
   * A group's members with their positions: the same array until something changes, undefined as long as they
   * are not known.
   */
  get members(): readonly Member[] | undefined {
    if (!this.#members) return undefined;
    this.#shown ??= [...this.#members.values()].map((member) => this.#show(member));
    return this.#shown;
  }

  /** Takes a move. Returns whether counts may have changed. */
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

  /** 0 as long as the members are not known. */
  get memberCount(): number {
    return this.#members?.size ?? 0;
  }

  /**
   * Takes the members of a group as the service has just told them. A user with a position is awaited no
   * longer.
   */
  setMembers(members: readonly Member[]): void {
    this.#members = new Map(members.map((member) => [member.userId, member]));
    for (const userId of this.#positions.keys()) this.#arrive(userId);
    this.#changed();
  }

  /**
   * Takes a change of members, until the service tells the list: an invited user has read all before, a user
   * who left counts no more.
   */
  apply(message: Message): void {
    const members = this.#members;
    if (!members) return;
    for (const subject of subjectsOf(message))
      if (message.type !== "SYSTEM_INVITE") {
        members.delete(subject.userId);
        // The user may come back as a new member.
        this.#positions.delete(subject.userId);
      } else if (!members.has(subject.userId)) members.set(subject.userId, invited(subject, message));
    this.#changed();
  }

  /**
   * How many members have not read a message. In a group whose members are known it counts the positions
   * before the message. Else it is the count that came with the message; in a room of two that is 0 as soon
   * as the one who did not send it has read it.
   */
  unreadCount(message: Message): number {
    if (isSystem(message)) return 0;
    if (this.#members) return this.#behind(message.messageId);
    if (message.unreadCount === 0 || this.isGroup) return message.unreadCount;
    for (const [userId, position] of this.#positions)
      if (userId !== message.senderId && position >= message.messageId) return 0;
    return message.unreadCount;
  }

  /**
   * Whether the service counts a member who is still awaited here: that one has come, and no message told it.
   */
  lacks(message: Message): boolean {
    const isAwaiting = [...(this.#members?.values() ?? [])].some(({ isAwaited }) => isAwaited);
    return isAwaiting && message.unreadCount > this.unreadCount(message);
  }

  /** Undefined where there is no list of members, and for system messages, which nobody has to read. */
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

  /** The user is awaited no longer. Returns whether they were. */
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

  /** How many positions are before the message, by a binary search. */
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

/** What is known about a new member before the list is loaded. */
const invited = ({ userId, nickname }: NamedUser, { sentAt, messageId }: Message): Member => ({
  userId,
  nickname,
  profileImageUrl: null,
  joinedAt: sentAt,
  isCreator: false,
  lastReadMessageId: messageId - 1,
});
