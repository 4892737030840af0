import type { Broadcaster } from "../broadcast/broadcaster.js";
import type { EventBus } from "../bus/eventBus.js";
import type { Connection } from "../connections/connection.js";
import type { ConnectionState } from "../connections/connectionState.js";
import type { SessionLimits } from "../connections/rates.js";
import type { RedisPorts } from "../redis/ports.js";
import type { Frame } from "../stomp/frame.js";
import type { Database } from "../store/database.js";

/** A client frame with its id and the trace that it belongs to. */
export interface Received {
  readonly frame: Frame;
  /** 43 characters: the same for every copy of this frame, and others for every other frame. */
  readonly eventId: string;
  readonly traceparent?: string;
}

/** What a handled frame leads to. */
export interface Outcome {
  /** Frames for this client, in order, before anything that follows. */
  readonly frames: readonly string[];
  readonly state: ConnectionState;
  /**
   * What comes next; where nothing is said, the frame behind this one is handled.
   * - `skip`: something that this frame needs is away. The frames behind it are refused, too, so that the
   *   client sends all of them again, in their order.
   * - `close`: the connection is closed once the frames are with the client.
   * - `stop`: another process closes the connection. Nothing behind the frame is looked at.
   */
  readonly next?: "skip" | "close" | "stop";
  /** The session has lost its slot: the frame was not carried out, and gets no RECEIPT. */
  readonly evicted?: true;
  /** Runs once the connection is closed, or the service was told to drop it; else not at all. */
  readonly afterClose?: () => Promise<void>;
}

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

/**
 * A client command. Throws a `ChatError` to refuse the frame; then it has changed nothing that a repeat would
 * not mend.
 */
export type Command = (received: Received, connection: Connection, deps: CommandDeps) => Promise<Outcome>;
