/** What is known of who is where, kept outside MySQL for speed only: every answer can be had from MySQL, and `undefined` says ask there. */
export interface SessionStore {
  /** Whether a user is a member of a room; `undefined` when the store doesn't know or can't be reached. */
  isMember(roomId: number, userId: number): Promise<boolean | undefined>;
  /** What to hand to `putMembers` when the members have been read; taken before reading them. */
  membersVersion(roomId: number): Promise<string | undefined>;
  /** Remembers a room's members as they were read; does nothing if they were dropped since the version was taken. */
  putMembers(roomId: number, userIds: readonly number[], version: string | undefined): Promise<void>;
  /** Forgets a room's members; called after every commit that changed them. */
  dropMembers(roomId: number): Promise<void>;
  /** Whether this is the first call for the room's read broadcasts within so many milliseconds, over all processes; `undefined` when the store can't be reached. */
  takeReadTurn(roomId: number, withinMs: number): Promise<boolean | undefined>;
  /** Throws when the store can't be reached. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
