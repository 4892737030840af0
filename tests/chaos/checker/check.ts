import type { DatabaseAddress } from "../clients/target.js";

export interface Finding {
  readonly rule: string;
  readonly text: string;
}

export interface Checked {
  readonly findings: readonly Finding[];
  readonly counts: Readonly<Record<string, number>>;
}

export async function check(_folder: string, _database: DatabaseAddress): Promise<Checked> {
  throw new Error("not built yet");
}
