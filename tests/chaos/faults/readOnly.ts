import { between } from "../random.js";
import { asRoot } from "../stack/database.js";
import { within } from "../wait.js";
import type { Kind, Machine } from "./kind.js";

/** Another fault may have the database away for so long. */
const AWAY_MS = 60_000;

/**
 * Has the database refuse all changes, as one that another has taken over from; or take them again. Waits for one
 * that is away.
 */
export async function setReadOnly({ stack }: Machine, isReadOnly: boolean): Promise<void> {
  const sql = `SET GLOBAL read_only = ${isReadOnly ? "ON" : "OFF"}`;
  let failure: unknown;
  const isSet = (): Promise<boolean> =>
    asRoot(stack.ports.parts.mysql, sql).then(
      () => true,
      (error: unknown) => {
        failure = error;
        return false;
      },
    );
  if (!(await within(AWAY_MS, isSet))) throw failure;
}

/** The database takes no changes for a while. */
export const readOnly: Kind = {
  name: "read-only",
  draw: (random) => ({ target: "mysql", ms: between(random, 1_000, 12_000), amount: 0 }),
  async start(machine) {
    await setReadOnly(machine, true);
    return () => setReadOnly(machine, false);
  },
};
