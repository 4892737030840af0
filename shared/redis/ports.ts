import type { FaultNotes } from "../platform/faults.js";

/**
 * The ports of what is known outside MySQL, for speed. All of it may be lost without the loss of a message.
 * `undefined` says that the store does not know or can't be reached: memberships are then read from MySQL,
 * and limits are open.
 */

/** Who is a member of which room, as it was read from MySQL. */
export interface MembersCache {
  /** Whether a user is a member of a room. */
  isMember(roomId: number, userId: number): Promise<boolean | undefined>;
  /** The version to hand to `putMembers`. The caller asks for it before reading the members. */
  membersVersion(roomId: number): Promise<string | undefined>;
  /**
   * Remembers a room's members as they were read. Does nothing if they were dropped since the version was
   * asked for.
   */
  putMembers(roomId: number, userIds: readonly number[], version: string | undefined): Promise<void>;
  /** Forgets a room's members. Called after every commit that changed them. */
  dropMembers(roomId: number): Promise<void>;
}

/** Which process may broadcast a room's reads. */
export interface Turns {
  /** Whether this is the first call for the room within `withinMs`, over all processes. */
  takeReadTurn(roomId: number, withinMs: number): Promise<boolean | undefined>;
}

/** The live sessions of each user, and those that have lost their slot. */
export interface Sessions {
  /**
   * Gives an open connection a slot among its user's sessions. It replaces a session of the same device that
   * connected before. Where there are then more than `limit` (0 is none), the slots of connections that are
   * gone are freed, then the oldest sessions are evicted. A connection that comes straight back by itself
   * after the limit evicted it loses its own slot instead; within a minute of its last eviction. Atomic:
   * there are never more than `limit`, however many register at once. Registering again changes nothing.
   */
  register(session: Session, how: Registering): Promise<Registered | undefined>;
  /**
   * Admits a frame of a connection, and counts it against its kind's limit, if any. Frames of evicted ones
   * are not counted.
   */
  admit(session: Session, rate?: Rate): Promise<Admission | undefined>;
  /** Frees the slot of a connection that is gone, and never gives it one again. */
  remove(userId: number, connectionId: string): Promise<Removed | undefined>;
  /** An evicted connection has been told and closed. Says whether this is the first call to say so. */
  closed(userId: number, connectionId: string): Promise<boolean | undefined>;
  /**
   * Evicts all sessions of a user, or those of one device. Answers with all connections of the user that are
   * not closed yet.
   */
  logOut(userId: number, device: string | undefined): Promise<readonly EvictedSession[] | undefined>;
  /**
   * Users with a session that lost its slot some seconds ago, the oldest first. Some of those may not be
   * closed yet.
   */
  listUnfinished(most: number): Promise<readonly Unfinished[]>;
  /**
   * Claims the connections of a user that are not closed and that no process has a claim on. `unclosed`
   * counts all.
   */
  claimUnfinished(
    userId: number,
  ): Promise<{ readonly toClose: readonly EvictedSession[]; readonly unclosed: number }>;
  /**
   * The sweep has looked after a user, who is forgotten if `isDone`, else put behind the others. Changes
   * nothing if a session of the user lost its slot since the user was listed.
   */
  noteLookedAfter(left: Unfinished, isDone: boolean): Promise<void>;
}

/** Limits of what is no frame. A frame is counted when it is admitted. */
export interface Rates {
  /** Counts one of a kind. Answers 0 where it passes, else the whole seconds after which one would. */
  take(userId: number, rate: Rate): Promise<number | undefined>;
}

/** Which subscription ids the connections of a user have taken, and what they have subscribed to. */
export interface Subscriptions {
  /**
   * A connection takes a subscription id of a destination. The live connections of a user together may have
   * `limit` different ones. Says whether the connection may. The same id again changes nothing.
   */
  takeId(
    userId: number,
    connectionId: string,
    key: string,
    id: string,
    limit: number,
  ): Promise<boolean | undefined>;
  /** A connection gives an id back. The ids of connections without a slot don't count anyway. */
  leaveId(userId: number, connectionId: string, key: string, id: string): Promise<void>;
  /**
   * Notes for ten minutes that a connection has made a subscription, of which its state may never hear. Says
   * whether the connection is still there, as far as is known: one that was removed before is not. Where a
   * connection is removed later, `Sessions.remove` finds the note.
   */
  noteSubscription(
    userId: number,
    connectionId: string,
    subscription: NotedSubscription,
  ): Promise<boolean | undefined>;
}

/** The pieces that have come of frames that are sent in several WebSocket messages. */
export interface Pieces {
  /**
   * Keeps a piece of a frame for a minute, at its offset. The same piece again changes nothing. Says whether
   * it is kept.
   */
  keepPiece(userId: number, frame: string, offset: number, bytes: Uint8Array): Promise<boolean>;
  /** The first `length` bytes of a frame; `undefined` where not all of them were kept. */
  readPieces(userId: number, frame: string, length: number): Promise<Uint8Array | undefined>;
}

/** All of them, as one adapter implements them. */
export interface RedisStore extends MembersCache, Turns, Sessions, Rates, Subscriptions, Pieces, FaultNotes {
  /** Throws when the store can't be reached. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Each port by the name under which its users get it. */
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
  /** Its position in the order of connecting, as an earlier registering gave it. */
  readonly order?: number | undefined;
  /**
   * A few characters without spaces, the same when the client comes back. Where there is a device, that
   * counts instead.
   */
  readonly likeness?: string | undefined;
  /** Its user asked for the slot, knowing that another session may lose its own. */
  readonly takesOver?: boolean | undefined;
  /**
   * How long ago it connected, in ms. One without an order that connected long ago stands among those of that
   * time.
   */
  readonly age?: number | undefined;
  /** Its subscription id on `/user/queue/session`, empty for none; `undefined` where that is not known. */
  readonly queue?: string | undefined;
}

/** What a connection that is gone leaves behind. */
export interface Removed {
  readonly hadSlot: boolean;
  /** Those that were noted of it. */
  readonly subscriptions: readonly NotedSubscription[];
}

/** A subscription: its lane, which has no spaces, and its id as the client sends it. */
export interface NotedSubscription {
  readonly lane: string;
  readonly wire: string;
}

export interface Registering {
  /** Of sessions of a user; 0 is no limit. */
  readonly limit: number;
  /** Which of these connections are gone. Asked before a session loses its slot. */
  readonly whichAreGone: (connectionIds: readonly string[]) => Promise<readonly string[]>;
}

export interface Registered {
  /** As of an admission. */
  readonly standing: "live" | "evicted" | "closing";
  readonly order: number;
  /** It had no slot before. */
  readonly isNew: boolean;
  /** How many slots were freed because their connections were gone. */
  readonly gone: number;
  readonly toClose: readonly EvictedSession[];
}

export interface Admission {
  /**
   * `unknown`: the connection must register, because it is new, or the store was away, or has lost its data
   * since. `closing`: it has no slot any more, and a process is about to tell and close it. `evicted`: it has
   * none, and no process is.
   */
  readonly standing: "live" | "unknown" | "evicted" | "closing";
  /** Of a live one. */
  readonly order?: number;
  /** 0, or the whole seconds after which such a frame would pass. */
  readonly retryAfter: number;
  readonly toClose: readonly EvictedSession[];
}

export type EndReason = "SESSION_LIMIT" | "DEVICE_RECONNECTED" | "LOGGED_OUT";

/**
 * A connection that has lost its slot. The process that gets this tells and closes it; after some seconds
 * another may get it.
 */
export interface EvictedSession {
  readonly connectionId: string;
  readonly reason: EndReason;
  /** Its subscription id on `/user/queue/session`, or empty. */
  readonly queue: string;
}

/** A user with connections that may have to be closed. */
export interface Unfinished {
  readonly userId: number;
  /** The moment of the note, by the store's clock. */
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
