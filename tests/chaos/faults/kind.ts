import type { Random } from "../random.js";
import type { CutAt } from "../settle.js";
import type { BusName } from "../stack/names.js";
import type { Stack } from "../stack/stack.js";

/** One fault of a plan. */
export interface Fault {
  /** The name of its kind. */
  readonly kind: string;
  /** When it begins: milliseconds of the plan's time. */
  readonly at: number;
  /** How long it lasts. */
  readonly ms: number;
  /** What it strikes, a part or a link, or else a word for it. */
  readonly target: string;
  /** How much, in the kind's own unit. */
  readonly amount: number;
}

/** What a fault may use. */
export interface Machine {
  readonly stack: Stack;
  /** Cuts all client sockets. */
  cutClients(): void;
  /**
   * Has the clients hold still and waits until all that was accepted is stored and shown. Returns what lets the
   * clients go on. Throws `NotHere` where that takes too long.
   */
  quiet(): Promise<() => void>;
  /** Whether all that the bus has is stored and shown, also while the bus does not run. */
  isAllStored(): Promise<boolean>;
  /** Where faults have cut logs, so that nobody waits for what is gone. */
  readonly cutAt: CutAt;
  say(line: string): void;
}

/** Undoes a fault; resolves when what it struck works again. */
export type End = () => Promise<void>;

/** A kind of fault. */
export interface Kind {
  readonly name: string;
  /** While it lasts there is no other, and the plan's time stands still. */
  readonly isAlone?: true;
  /** Where it is possible; everywhere if not said. */
  readonly buses?: readonly BusName[];
  /** Draws what the fault is to be. */
  draw(random: Random, bus: BusName): Pick<Fault, "ms" | "target" | "amount">;
  /** Throws `NotHere` where this machine can't do it. */
  start(machine: Machine, fault: Fault): Promise<End>;
}

/** A fault that is left out, and why. */
export class NotHere extends Error {}

/** Throws where something came to a bus that is stopped by now, and was not stored before. */
export async function requireAllStored(machine: Machine): Promise<void> {
  if (!(await machine.isAllStored())) throw new NotHere("events came that were not stored yet");
}
