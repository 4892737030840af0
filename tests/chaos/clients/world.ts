import type { Target } from "./target.js";

export interface World {
  counts(): Record<string, number>;
  /** A gate: while it is held no client sends. Resolves once nothing is on its way to the bus. */
  hold(): Promise<() => void>;
  /**
   * Ends the acts, lets all clients come back and see the rest, and takes the last reads. Never throws for what
   * was lost: the checker finds that.
   */
  finish(): Promise<void>;
  /** Cuts all client sockets at once. */
  kill(): void;
}

export interface WorldOptions {
  readonly target: Target;
  readonly seed: number;
  /** Gets the histories, one file a client. */
  readonly folder: string;
  readonly log: (line: string) => void;
}

export async function startWorld(_options: WorldOptions): Promise<World> {
  throw new Error("not built yet");
}
