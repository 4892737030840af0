import type { Fault, Kind } from "./faults/kind.js";
import { deckOf } from "./faults/kinds.js";
import { between, type Random, randomOf, shuffled } from "./random.js";
import type { BusName } from "./stack/names.js";

/** The clients begin alone. */
const FIRST_MS = 3_000;
/** The last fifth of the time is without faults. */
const FAULTY = 0.8;
/** The least and the most between the beginnings of two faults. Two may last at the same time. */
const GAP_MS = [1_000, 6_000] as const;
/** After a fault alone the system has so much time before the next. */
const REST_MS = 3_000;
const MINUTE_MS = 60_000;

/**
 * The faults of a seed in their order: always the same for the same arguments. Nothing is struck by two at the
 * same time, and a fault that `isAlone` begins when all before it have ended. With `only` there are no kinds
 * but these.
 */
export function plan(seed: number, minutes: number, bus: BusName, only: readonly string[] = []): Fault[] {
  const random = randomOf(seed);
  const end = minutes * MINUTE_MS * FAULTY;
  const isAsked = ({ name }: Kind): boolean => only.length === 0 || only.includes(name);
  const faults: Fault[] = [];
  let free: Kind[] = [];
  for (let at = Math.min(FIRST_MS, end / 2); at < end; ) {
    if (free.length === 0) free = shuffled(random, deckOf(bus).filter(isAsked));
    const kind = free.pop();
    if (!kind) break;
    const fault = deal(kind, at, faults, random, bus);
    faults.push(fault);
    at = fault.at + (kind.isAlone ? fault.ms + REST_MS : between(random, ...GAP_MS));
  }
  return faults.filter(({ at, ms }) => at + ms <= end || at < end / 2).sort((a, b) => a.at - b.at);
}

/** The fault begins at `at`, or when what it strikes is free again. */
function deal(kind: Kind, at: number, before: readonly Fault[], random: Random, bus: BusName): Fault {
  const drawn = kind.draw(random, bus);
  const inTheWay = before.filter(({ target }) => kind.isAlone || target === drawn.target || target === "all");
  const freeAt = Math.max(at, ...inTheWay.map((fault) => fault.at + fault.ms + 500));
  return { kind: kind.name, at: freeAt, ...drawn };
}
