import { setTimeout as sleep } from "node:timers/promises";
import { type Fault, type Machine, NotHere } from "./faults/kind.js";
import { kindOf } from "./faults/kinds.js";

/** What became of a plan. */
export interface Struck {
  /** How many faults of each kind there were. */
  readonly counts: Readonly<Record<string, number>>;
  /** The faults that this machine can't make, and why. */
  readonly leftOut: readonly string[];
  /** What did not come back after a fault. */
  readonly failures: readonly string[];
}

/** Makes the faults of a plan, each at its time, and resolves when `totalMs` of the plan's time have gone. */
export async function strike(plan: readonly Fault[], totalMs: number, machine: Machine): Promise<Struck> {
  const schedule = new Schedule(machine);
  for (const fault of plan) await schedule.strike(fault);
  await schedule.ends();
  await schedule.until(totalMs);
  return schedule;
}

class Schedule implements Struck {
  readonly counts: Record<string, number> = {};
  readonly leftOut: string[] = [];
  readonly failures: string[] = [];
  readonly #machine: Machine;
  readonly #lasting = new Set<Promise<void>>();
  #start = performance.now();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  async strike(fault: Fault): Promise<void> {
    await this.until(fault.at);
    if (!kindOf(fault.kind).isAlone) {
      const lasting = this.#make(fault).finally(() => this.#lasting.delete(lasting));
      this.#lasting.add(lasting);
      return;
    }
    await this.ends();
    const [before, at] = [performance.now(), this.#now()];
    await this.#make(fault);
    // The plan has `ms` for it, however long it took.
    this.#start += performance.now() - before - Math.min(fault.ms, performance.now() - before);
    this.#machine.say(`the plan's time stood at ${Math.round(at / 1_000)} s meanwhile`);
  }

  async ends(): Promise<void> {
    await Promise.all(this.#lasting);
  }

  async until(ms: number): Promise<void> {
    await sleep(Math.max(0, ms - this.#now()));
  }

  #now(): number {
    return performance.now() - this.#start;
  }

  /** Never throws: what fails is written down. */
  async #make(fault: Fault): Promise<void> {
    const { kind, target, ms } = fault;
    const text = `${kind} ${target}`;
    this.#machine.say(`${text} for ${ms} ms`);
    try {
      const end = await kindOf(kind).start(this.#machine, fault);
      this.counts[kind] = (this.counts[kind] ?? 0) + 1;
      await sleep(ms);
      await end();
      this.#machine.say(`${text}: over`);
    } catch (error) {
      const { message } = error as Error;
      if (error instanceof NotHere) this.leftOut.push(`${text}: ${message}`);
      else this.failures.push(`${text}: ${message}`);
      this.#machine.say(`${text}: ${message}`);
    }
  }
}
