import type { Line } from "../clients/history.js";
import type { DatabaseAddress } from "../clients/target.js";
import { readLines } from "./lines.js";
import { Proofs } from "./proofs.js";
import { RULES } from "./rules.js";
import { type Run, runOf } from "./run.js";
import { readStored, type Stored } from "./stored.js";

export interface Finding {
  readonly rule: string;
  readonly text: string;
}

export interface Checked {
  readonly findings: readonly Finding[];
  readonly counts: Readonly<Record<string, number>>;
}

/** Reads the histories of a folder and the database of their run, and says what breaks a promise. */
export async function check(folder: string, database: DatabaseAddress): Promise<Checked> {
  return judge(readLines(folder), await readStored(database));
}

/** The same of what was read before. */
export function judge(lines: readonly Line[], stored: Stored): Checked {
  const run = runOf(lines, stored);
  const proofs = new Proofs(run);
  const findings = Object.entries(RULES).flatMap(([rule, find]) =>
    find(run, proofs).map((text) => ({ rule, text })),
  );
  return { findings, counts: countsOf(run) };
}

function countsOf(run: Run): Record<string, number> {
  const sends = [...run.sends.values()];
  const live = run.sights.filter(({ how }) => how === "live");
  const different = new Set(live.map(({ client, seen }) => `${client} ${seen.room} ${seen.seq}`));
  return {
    lines: run.lines.length,
    sent: sends.length,
    sentAgain: sends.filter(({ tries }) => tries.length > 1).length,
    accepted: sends.filter((send) => send.accepted.length > 0).length,
    refused: sends.filter((send) => send.refused.length > 0).length,
    stored: run.stored.messages.filter(({ room }) => run.rooms.has(room)).length,
    shown: different.size,
    shownAgain: live.length - different.size,
    changes: run.changes.length,
    lists: run.calls.filter(({ call }) => call.asked === "list").length,
  };
}
