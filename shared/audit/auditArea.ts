import { setTimeout as pause } from "node:timers/promises";
import { retrying } from "../platform/async.js";
import { log } from "../platform/log.js";
import type { Area, Finding } from "./area.js";

export interface How {
  readonly repairs: boolean;
  /** What is found is looked at again after each of these pauses, in milliseconds. */
  readonly pauses: readonly number[];
  /** Whether no more places are to be looked at in this run. */
  readonly isOver: () => boolean;
}

/** What became of a finding. */
export type Told = Omit<Finding, "place"> & { readonly state: "differs" | "mended" | "not mended" };

export interface Audited {
  readonly places: number;
  /** Where to go on, where the run was over before all was looked at. */
  readonly next?: string;
}

/** The usual pauses: longer than what is under way takes, as a commit and what follows it. */
export const PAUSES_MS: readonly number[] = [1_000, 2_000];

const SUSPECTS_TOGETHER = 200;
/** A deadlock with the app passes. */
const MEND_PAUSES_MS = [100, 500];

/**
 * Looks at all places of an area, page by page, or at those after `after`. What differs is looked at again,
 * and told only if it differs each time: what is under way does not. Throws where something can't be asked.
 */
export async function auditArea<Place>(
  area: Area<Place>,
  how: How,
  tell: (told: Told) => void,
  after?: string,
): Promise<Audited> {
  let suspects: Finding<Place>[] = [];
  let places = 0;
  let next: string | undefined;
  const settle = async (): Promise<void> => {
    for (const told of await settled(area, suspects, how)) tell(told);
    suspects = [];
  };
  for await (const page of area.pages(after)) {
    suspects.push(...(await area.look(page.places)));
    places += page.places.length;
    if (suspects.length >= SUSPECTS_TOGETHER) await settle();
    if (!how.isOver()) continue;
    next = page.next ?? "";
    break;
  }
  await settle();
  return { places, ...(next !== undefined && { next }) };
}

async function settled<Place>(
  area: Area<Place>,
  suspects: readonly Finding<Place>[],
  { pauses, repairs }: How,
): Promise<readonly Told[]> {
  const confirmed = await confirm(area, suspects, pauses);
  if (!repairs) return confirmed.map((one) => told(one, "differs"));
  const mendable = confirmed.filter(({ unmendable }) => unmendable === undefined);
  for (const place of placesOf(mendable)) await mendAt(area, place, mendable);
  const left = keysOf(await area.look(placesOf(mendable)));
  return confirmed.map((one) => {
    if (one.unmendable !== undefined) return told(one, "differs");
    return told(one, left.has(keyOf(one)) ? "not mended" : "mended");
  });
}

/** Those that differ at each look. */
async function confirm<Place>(
  area: Area<Place>,
  suspects: readonly Finding<Place>[],
  pauses: readonly number[],
): Promise<readonly Finding<Place>[]> {
  let confirmed = suspects;
  for (const wait of pauses) {
    if (confirmed.length === 0) return [];
    await pause(wait);
    const known = keysOf(confirmed);
    confirmed = (await area.look(placesOf(confirmed))).filter((one) => known.has(keyOf(one)));
  }
  return confirmed;
}

async function mendAt<Place>(
  area: Area<Place>,
  place: Place,
  findings: readonly Finding<Place>[],
): Promise<void> {
  const own = findings.filter((one) => one.place === place);
  // What could not be mended differs at the last look, and is told.
  await retrying(MEND_PAUSES_MS, () => area.mend(place, own)).catch((error: unknown) =>
    log.warn("a difference could not be mended", { where: own[0]?.where, error }),
  );
}

const placesOf = <Place>(findings: readonly Finding<Place>[]): readonly Place[] => [
  ...new Set(findings.map(({ place }) => place)),
];

const keyOf = ({ kind, where }: Finding): string => `${kind} ${where}`;
const keysOf = (findings: readonly Finding[]): ReadonlySet<string> => new Set(findings.map(keyOf));

function told<Place>({ place: _, ...finding }: Finding<Place>, state: Told["state"]): Told {
  return { ...finding, state };
}
