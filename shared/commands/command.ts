import type { Broadcaster } from "../broadcast/broadcaster.js";
import type { EventBus } from "../bus/eventBus.js";
import type { Farewell } from "../connections/closing.js";
import type { ConnectionState } from "../connections/connectionState.js";
import type { RateKind, RedisPorts } from "../redis/ports.js";
import type { Frame } from "../stomp/frame.js";
import type { Database } from "../store/database.js";

/** One client's live connection, as one frame meets it. */
export interface Connection {
  readonly connectionId: string;
  readonly userId: number;
  readonly state: ConnectionState;
}

/** A client frame with the id that its copies share and the trace it belongs to. */
export interface Received {
  readonly frame: Frame;
  readonly eventId: string;
  readonly traceparent?: string;
}

/** What a handled frame leads to. Frames go to this client, in order, before anything that follows. */
export interface Outcome {
  readonly frames: readonly string[];
  readonly state: ConnectionState;
  /** The connection is to be closed once the frames are with the client. */
  readonly close?: boolean;
  /** The frame was refused because something it needs is away. */
  readonly unavailable?: boolean;
  /** The session has ended: what stands behind the frame isn't looked at. Once closed, this one has been told. */
  readonly ended?: Farewell | "by another";
}

/** Live sessions of a user, and how many of each kind in any 60 seconds; 0 is no limit. */
export type SessionLimits = Readonly<Record<RateKind | "sessions", number>>;

/** What commands need. */
export interface CommandDeps extends RedisPorts {
  readonly database: Database;
  readonly bus: EventBus;
  readonly broadcaster: Broadcaster;
  readonly verifyToken: (token: string) => Promise<{ readonly userId: number; readonly expiresAt: number }>;
  readonly limits: SessionLimits;
  /** Whether clients that want heart-beats get them. */
  readonly heartBeats: boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** A client command: throws a `ChatError` to refuse the frame, and then has changed nothing that a repeat would not mend. */
export type Command = (received: Received, connection: Connection, deps: CommandDeps) => Promise<Outcome>;
