import type { BusName } from "../stack/names.js";
import { checkpointPast } from "./checkpointPast.js";
import { clientsCut } from "./clientsCut.js";
import { clockOff } from "./clockOff.js";
import { commitLost } from "./commitLost.js";
import { diskFull } from "./diskFull.js";
import { freeze } from "./freeze.js";
import { hubAnew } from "./hubAnew.js";
import { kill } from "./kill.js";
import type { Kind } from "./kind.js";
import { cut, hang, refuse, slow } from "./links.js";
import { logBack } from "./logBack.js";
import { powerCut } from "./powerCut.js";
import { readOnly } from "./readOnly.js";
import { tornRecord } from "./tornRecord.js";
import { disconnectedFirst, upstreamTwice } from "./upstream.js";

/** Each kind, with how many cards it has in the deck that plans are dealt from. */
const CARDS: readonly (readonly [Kind, number])[] = [
  [kill, 5],
  [freeze, 3],
  [powerCut, 1],
  [slow, 2],
  [cut, 3],
  [refuse, 2],
  [hang, 2],
  [clientsCut, 1],
  [readOnly, 1],
  [diskFull, 1],
  [clockOff, 1],
  [tornRecord, 1],
  [logBack, 1],
  [hubAnew, 1],
  [commitLost, 1],
  [checkpointPast, 1],
  [upstreamTwice, 1],
  [disconnectedFirst, 1],
];

export const KINDS: readonly Kind[] = CARDS.map(([kind]) => kind);

/** The kinds that are possible on a bus, each as often as it has cards. */
export function deckOf(bus: BusName): Kind[] {
  return CARDS.flatMap(([kind, count]) =>
    kind.buses?.includes(bus) === false ? [] : Array.from({ length: count }, () => kind),
  );
}

export function kindOf(name: string): Kind {
  const kind = KINDS.find((one) => one.name === name);
  if (!kind) throw new Error(`there is no kind of fault "${name}", but: ${names()}`);
  return kind;
}

export const names = (): string => KINDS.map(({ name }) => name).join(", ");
