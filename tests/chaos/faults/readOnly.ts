import { between } from "../random.js";
import { asRoot } from "../stack/database.js";
import type { Kind, Machine } from "./kind.js";

/** Has the database refuse all changes, as one that another has taken over from; or take them again. */
export async function setReadOnly({ stack }: Machine, isReadOnly: boolean): Promise<void> {
  await asRoot(stack.ports.parts.mysql, `SET GLOBAL read_only = ${isReadOnly ? "ON" : "OFF"}`);
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
