import type { ConnectionState } from "./connectionState.js";

/** One client's live connection, as one of its events meets it. */
export interface Connection {
  readonly connectionId: string;
  readonly userId: number;
  readonly state: ConnectionState;
}
