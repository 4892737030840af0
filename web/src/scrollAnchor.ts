import { keptByTab } from "./kept.js";

/** A stored message in view. */
export interface Anchor {
  readonly seq: number;
  /** How many pixels below the top of the log its row begins; negative where the top cuts the row. */
  readonly offset: number;
}

const keyOf = (userId: number, roomId: number) => `nonstop-anchor ${userId} ${roomId}`;

/**
 * What the room's log showed before a reload: its end, or a message. Undefined when the tab has kept nothing.
 */
export function anchorIn(userId: number, roomId: number): Anchor | "end" | undefined {
  try {
    return anchorFrom(JSON.parse(keptByTab.get(keyOf(userId, roomId)) ?? "null"));
  } catch {
    // Not JSON: the page did not write it.
    return undefined;
  }
}

export function keepAnchor(userId: number, roomId: number, anchor: Anchor | "end"): void {
  keptByTab.set(keyOf(userId, roomId), JSON.stringify(anchor));
}

function anchorFrom(kept: unknown): Anchor | "end" | undefined {
  if (kept === "end") return kept;
  if (typeof kept !== "object" || kept === null || !("seq" in kept && "offset" in kept)) return undefined;
  const { seq, offset } = kept;
  return isNumber(seq) && seq > 0 && isNumber(offset) ? { seq, offset } : undefined;
}

const isNumber = (value: unknown): value is number => Number.isFinite(value);
