import { type ChatError, isOfRoom, toChatError } from "./errors.js";
import { historyPage, LARGEST_PAGE } from "./history.js";
import { movesOf, Readers, type ReadMessage } from "./readers.js";
import type { RoomScope } from "./roomScope.js";
import { subjectsOf } from "./systemMessages.js";
import type { Timeline } from "./timeline.js";
import { after, spread } from "./timing.js";
import type { Member, Message } from "./types.js";

const MOST_REFRESHED_PAGES = 10;

/** Who is in an open room and has read how far: positions, and what keeps them up to date. */
export class RoomReaders {
  readonly positions = new Readers();
  /** Why the members could not be loaded last time. */
  error: ChatError | undefined;
  readonly #scope: RoomScope;
  readonly #timeline: Timeline;
  #planned: (() => void) | undefined;
  /**
   * Counts the lists that were asked for, the last one that was taken, and the changes of members that came
   * live.
   */
  readonly #lists = { asked: 0, taken: 0, changes: 0 };

  constructor(scope: RoomScope, timeline: Timeline) {
    this.#scope = scope;
    this.#timeline = timeline;
  }

  /** Takes what a new message says: its sender has read it, and members may have come or gone. */
  follow(message: Message): void {
    this.positions.move(message.senderId, message.messageId);
    const isChange = subjectsOf(message).length > 0;
    if (!isChange && !this.positions.lacks(message)) return;
    this.positions.apply(message);
    this.#lists.changes += 1;
    this.#plan();
  }

  /** Takes moves of read positions that came live. */
  take(message: ReadMessage): void {
    for (const { userId, lastReadMessageId } of movesOf(message))
      this.positions.move(userId, lastReadMessageId);
    this.#scope.changed();
  }

  /**
   * Loads the members for the first page. Rejects where the room can't be had, or may be a group or not. In a
   * group that is known to be one the list is loaded later where it can't be loaded now: the messages don't
   * wait for it.
   */
  async loadFirst(isGroup: () => Promise<boolean | undefined>): Promise<void> {
    this.positions.isGroup ??= await isGroup();
    try {
      await this.load();
    } catch (thrown) {
      const error = toChatError(thrown);
      if (isOfRoom(error.code) || !this.positions.isGroup) throw error;
      this.#plan();
    }
  }

  /**
   * Loads a group's members with their positions; a one-to-one room has no such list. Rejects with a
   * `ChatError`.
   */
  async load(): Promise<void> {
    if (this.positions.isGroup === false) return;
    this.#lists.asked += 1;
    const { asked, changes } = this.#lists;
    const { http, roomId } = this.#scope;
    try {
      const members = await http.field<readonly Member[]>("GET", `/group-rooms/${roomId}/members`, "members");
      this.positions.isGroup = true;
      this.error = undefined;
      // A later answer was faster, or members have changed since: then another list is asked for.
      if (asked < this.#lists.taken || changes !== this.#lists.changes) return;
      this.#lists.taken = asked;
      this.positions.setMembers(members);
    } catch (thrown) {
      const error = toChatError(thrown);
      const isRoomOfTwo = error.code === "ROOM_NOT_FOUND" && !this.positions.isGroup;
      if (!isRoomOfTwo) {
        this.error = error;
        throw error;
      }
      this.positions.isGroup = false;
    } finally {
      this.#scope.changed();
    }
  }

  /**
   * Makes up for moves that were missed without a connection. A group's list of members tells the positions,
   * a one-to-one room's messages tell them by their counts. Rejects with a `ChatError`.
   */
  async refresh(): Promise<void> {
    if (this.positions.isGroup) return this.load();
    const { http, roomId } = this.#scope;
    let query = `limit=${LARGEST_PAGE}`;
    for (let pages = 0; pages < MOST_REFRESHED_PAGES; pages += 1) {
      const page = await historyPage(http, roomId, query);
      const isDone = this.#takeCounts(page);
      this.#scope.changed();
      const oldest = page.at(-1);
      if (isDone || !oldest || oldest.seq <= (this.#timeline.messages[0]?.seq ?? 0)) return;
      query = `before=${oldest.seq}&limit=${LARGEST_PAGE}`;
    }
  }

  end(): void {
    this.#planned?.();
  }

  /** Returns whether one of the user's messages is read: then all before it are. */
  #takeCounts(page: readonly Message[]): boolean {
    const userId = this.#scope.userId();
    const read = page.filter(({ unreadCount }) => unreadCount === 0);
    // The one who did not send it has read it. Which user that is need not be known.
    for (const { senderId, messageId } of read)
      this.positions.move(senderId === userId ? 0 : (userId ?? 0), messageId);
    return read.some(({ senderId }) => senderId === userId);
  }

  /** All members hear of a change at once: each asks at a random time. */
  #plan(): void {
    const ms = this.#scope.timing.membersAfterMs + spread(this.positions.memberCount);
    this.#planned ??= after(ms, () => {
      this.#planned = undefined;
      void this.#scope.persist(() => this.load());
    });
  }
}
