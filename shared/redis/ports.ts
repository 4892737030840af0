/**
 * The ports of what is known outside MySQL, for speed: it may be lost without loss of a message. `undefined` says that the store does not know, or
 * can't be reached: memberships are then asked of MySQL, and limits are open.
 */

/** Who is a member of which room, as it was read from MySQL. */
export interface MembersCache {
  /** Whether a user is a member of a room; `undefined` when the store doesn't know or can't be reached. */
  isMember(roomId: number, userId: number): Promise<boolean | undefined>;
  /** What to hand to `putMembers` when the members have been read; taken before reading them. */
  membersVersion(roomId: number): Promise<string | undefined>;
  /** Remembers a room's members as they were read; does nothing if they were dropped since the version was taken. */
  putMembers(roomId: number, userIds: readonly number[], version: string | undefined): Promise<void>;
  /** Forgets a room's members; called after every commit that changed them. */
  dropMembers(roomId: number): Promise<void>;
}

/** Which process may broadcast a room's reads. */
export interface Turns {
  /** Whether this is the first call for the room's read broadcasts within so many milliseconds, over all processes; `undefined` when the store can't be reached. */
  takeReadTurn(roomId: number, withinMs: number): Promise<boolean | undefined>;
}

/** The live sessions of each user, and those that have lost their slot. */
export interface Sessions {
  /**
   * Gives an open connection its place among its user's sessions. A session of the same device that connected before loses its own; where there are more than `limit` (0 is none), those that are
   * gone do, then the oldest; but one that comes straight back by itself after it was ended by the limit loses its own place, for a minute since it did so last. Atomic: never are there more than `limit`, however many register at once. Registering again changes nothing.
   */
  register(session: Session, how: Registering): Promise<Registered | undefined>;
  /** A frame of a connection, counted against its kind's limit unless it has ended or there is none. One round trip. */
  admit(session: Session, rate?: Rate): Promise<Admission | undefined>;
  /** Forgets a connection that is gone, and never takes it in again; says whether it had a place. */
  remove(userId: number, connectionId: string): Promise<boolean | undefined>;
  /** An ended connection has been told and closed: nobody needs to do that any more. Says whether this is the first to say so. */
  closed(userId: number, connectionId: string): Promise<boolean | undefined>;
  /** Ends all sessions of a user, or those of one device; answers with them all that is still to be closed of the user. */
  logOut(userId: number, device: string | undefined): Promise<readonly EvictedSession[] | undefined>;
  /** Users of whom somebody lost a place some seconds ago; some of those connections may not be closed yet. */
  listUnfinished(most: number): Promise<readonly Unfinished[]>;
  /** Takes on what is left to be told and closed of a user, and nobody is at. */
  claimUnfinished(
    userId: number,
  ): Promise<{ readonly toClose: readonly EvictedSession[]; readonly unclosed: number }>;
  /** A user was looked after: forgotten if nothing is left, else put behind the others. Changes nothing if somebody lost a place since. */
  noteLookedAfter(left: Unfinished, isDone: boolean): Promise<void>;
}

/** Limits of what is no frame: a frame is counted when it is admitted. */
export interface Rates {
  /** Counts one of a kind: 0 where it passes, else the whole seconds after which one would. */
  take(userId: number, rate: Rate): Promise<number | undefined>;
}

/** Which subscription ids the connections of a user have taken, and what they have subscribed to. */
export interface Subscriptions {
  /**
   * A connection takes a subscription id of a destination, of which its user's live connections together may have `limit` different ones; says whether it may, `undefined` where the
   * store can't be asked. The same id again changes nothing.
   */
  takeId(
    userId: number,
    connectionId: string,
    key: string,
    id: string,
    limit: number,
  ): Promise<boolean | undefined>;
  /** A connection has given an id back. Those of connections that are gone count for nothing by themselves. */
  leaveId(userId: number, connectionId: string, key: string, id: string): Promise<void>;
  /**
   * Notes for ten minutes that a connection has made a subscription, of which its state may never hear. Says whether the connection is still there as far as is known: one that was removed before is not, one
   * that is removed later is found to have made it.
   */
  noteSubscription(
    userId: number,
    connectionId: string,
    subscription: NotedSubscription,
  ): Promise<boolean | undefined>;
  /** What was noted of a connection; nothing where the store can't be asked. */
  notedSubscriptions(userId: number, connectionId: string): Promise<readonly NotedSubscription[]>;
}

/** What has come of frames that are sent in several WebSocket messages. */
export interface Pieces {
  /** Keeps a piece of a frame for a minute, at its place in the frame; the same again changes nothing. Says whether it is kept. */
  keepPiece(userId: number, frame: string, offset: number, bytes: Uint8Array): Promise<boolean>;
  /** The first so many bytes of a frame that were kept; `undefined` where they can't be had. */
  readPieces(userId: number, frame: string, length: number): Promise<Uint8Array | undefined>;
}

/** What has to be mended, told among processes. */
export interface FaultNotes {
  /** Tells all processes for so many milliseconds from now that something of this name has to be mended. */
  noteFault(name: string, forMs: number): Promise<void>;
  /** Whether one of them has said so; not where the store can't be reached. */
  hasFault(name: string): Promise<boolean>;
}

/** All of them, as one adapter implements them. */
export interface RedisStore extends MembersCache, Turns, Sessions, Rates, Subscriptions, Pieces, FaultNotes {
  /** Throws when the store can't be reached. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Each port by the name under which it is handed to those who need it. */
export interface RedisPorts {
  readonly members: MembersCache;
  readonly turns: Turns;
  readonly sessions: Sessions;
  readonly rates: Rates;
  readonly subscriptions: Subscriptions;
  readonly pieces: Pieces;
}

/** The ports of one adapter. */
export const portsOf = (store: RedisStore): RedisPorts => ({
  members: store,
  turns: store,
  sessions: store,
  rates: store,
  subscriptions: store,
  pieces: store,
});

/** One connection, as far as it knows itself. */
export interface Session {
  readonly userId: number;
  readonly connectionId: string;
  /** What the client calls its device, hashed. */
  readonly device?: string | undefined;
  /** Its place in the order of connecting, as an earlier registering gave it. */
  readonly order?: number | undefined;
  /** What a session that was ended and comes back by itself looks like again, in a few characters without spaces; a device's sessions look like it anyway. */
  readonly likeness?: string | undefined;
  /** Its user asked for it, knowing that another one may have to go. */
  readonly takesOver?: boolean | undefined;
  /** How long ago it connected, in ms: where it has no order yet and that is long ago, its place is among those of that time. */
  readonly age?: number | undefined;
  /** Its subscription id on `/user/queue/session`, empty if it has none; `undefined` where this is not known. */
  readonly queue?: string | undefined;
}

/** A subscription by its lane, which has no spaces, and its id as it stands on the wire. */
export interface NotedSubscription {
  readonly lane: string;
  readonly wire: string;
}

export interface Registering {
  /** Sessions of a user; 0 is no limit. */
  readonly limit: number;
  /** Which of these connections are there no more; asked before anybody loses their place. */
  readonly whichAreGone: (connectionIds: readonly string[]) => Promise<readonly string[]>;
}

export interface Registered {
  /** As of an admission. */
  readonly standing: "live" | "evicted" | "closing";
  readonly order: number;
  /** It had no place before. */
  readonly isNew: boolean;
  /** How many places were freed because their connections were gone. */
  readonly gone: number;
  readonly toClose: readonly EvictedSession[];
}

export interface Admission {
  /**
   * `unknown`: it has to register, because it is new, or the store was away, or has lost its data since. `closing`: it has ended, and somebody is about to tell and close it; `ended`: nobody is.
   */
  readonly standing: "live" | "unknown" | "evicted" | "closing";
  /** Of a live one. */
  readonly order?: number;
  /** 0, or the whole seconds after which such a frame would pass. */
  readonly retryAfter: number;
  readonly toClose: readonly EvictedSession[];
}

export type EndReason = "SESSION_LIMIT" | "DEVICE_RECONNECTED" | "LOGGED_OUT";

/** A connection that has lost its place and must be told and closed, by the one who was handed this; after some seconds another one may be. */
export interface EvictedSession {
  readonly connectionId: string;
  readonly reason: EndReason;
  /** Its subscription id on `/user/queue/session`, or empty. */
  readonly queue: string;
}

export interface Unfinished {
  readonly userId: number;
  /** When it was noted, by the store's clock. */
  readonly noted: number;
}

export type RateKind =
  | "messages"
  | "reads"
  | "subscribes"
  | "unsubscribes"
  | "negotiates"
  | "handshakes"
  | "writes"
  | "lookups"
  | "heartBeats"
  | "pieces";

/** At most `limit` of a kind in any 60 seconds. */
export interface Rate {
  readonly kind: RateKind;
  readonly limit: number;
}
