/** What the service tells by its upstream calls, and what it is answered. */

/** A connection's state as the service gives it back: the members of a JSON object. */
export type State = Readonly<Record<string, unknown>>;

export interface Handshake {
  readonly connectionId: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly query: Readonly<Record<string, readonly string[]>>;
  readonly subprotocols: readonly string[];
}

export interface Accepted {
  readonly userId: string;
  /** One of those that were offered, if any were. */
  readonly subprotocol: string | undefined;
  readonly state: State;
}

export interface ConnectionEvent {
  readonly connectionId: string;
  readonly userId: string;
  readonly state: State;
}

/** One WebSocket message of a client. */
export interface ClientMessage {
  /** The same when the service repeats the event; rises within a connection. */
  readonly eventId: string;
  readonly data: Uint8Array;
  readonly traceparent?: string;
}

/**
 * What a message leads to; the connection's state is `State` for the service, and has its own type inside.
 */
export interface Answer<OfConnection = State> {
  /** One WebSocket message, or nothing. */
  readonly text?: string;
  readonly state: OfConnection;
  /** The service is to drop the connection: its client has been told all, and it could not be closed. */
  readonly drop?: boolean;
}

export interface UpstreamHandlers {
  /** Throws a `ChatError` to refuse the handshake with its status. */
  connect(handshake: Handshake): Promise<Accepted>;
  connected(event: ConnectionEvent): Promise<void>;
  disconnected(event: ConnectionEvent): Promise<void>;
  message(event: ConnectionEvent & ClientMessage): Promise<Answer>;
}
