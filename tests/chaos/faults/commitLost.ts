import { between, pick } from "../random.js";
import { HOSTS } from "../stack/names.js";
import type { Kind } from "./kind.js";
import { linkOf } from "./links.js";

/** A command of MySQL's protocol: 3 bytes of length, its number 0, and 3 for a statement. */
const [HEAD, COM_QUERY] = [4, 3];

const isCommit = (bytes: Buffer): boolean =>
  bytes[HEAD] === COM_QUERY &&
  bytes
    .subarray(HEAD + 1)
    .toString("latin1")
    .endsWith("COMMIT");

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
      // A client waits for each answer, and so short a statement comes in one piece.
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
