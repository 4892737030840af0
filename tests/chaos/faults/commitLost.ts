import { between, pick } from "../random.js";
import { HOSTS } from "../stack/names.js";
import type { Kind } from "./kind.js";
import { linkOf } from "./links.js";

/** A transaction's last statements, which may come in several pieces, end with it. */
const isCommit = (bytes: Buffer): boolean => LAST.test(bytes.subarray(-20).toString("latin1"));
/** Behind another statement, or alone: then behind the number of the command, with or without attributes. */
const LAST = /(;\n|\x03|\x03\0\x01)COMMIT$/;

/** MySQL commits, and the connection breaks before the host hears of it; `amount` times. */
export const commitLost: Kind = {
  name: "commit lost",
  draw: (random) => ({
    target: `${pick(random, HOSTS)}-mysql`,
    ms: between(random, 3_000, 8_000),
    amount: between(random, 1, 6),
  }),
  async start(machine, fault) {
    const link = linkOf(machine, fault);
    const committing = new Set<number>();
    let lost = 0;
    link.watch = (bytes, isFromClient, connection) => {
      // A client waits for each answer.
      if (isFromClient && isCommit(bytes)) committing.add(connection);
      if (isFromClient || lost === fault.amount || !committing.delete(connection)) return false;
      lost += 1;
      return true;
    };
    return async () => {
      link.watch = undefined;
      machine.say(`the answers to ${lost} COMMITs were lost`);
    };
  },
};
