import { between, pick } from "../random.js";
import { placeOf } from "../settle.js";
import { cutLog, HUBS, readLogs } from "../stack/busLog.js";
import { type Kind, requireAllStored } from "./kind.js";

/**
 * A partition loses its last events, as after a failover to a copy that lacks them. All of them were stored before;
 * what comes then has their numbers. `amount` says how many are lost.
 */
export const logBack: Kind = {
  name: "log went back",
  isAlone: true,
  draw: (random) => ({ target: pick(random, [HUBS[0], ...HUBS]), ms: 500, amount: between(random, 1, 8) }),
  async start(machine, { target, amount }) {
    const { stack, cutAt } = machine;
    const release = await machine.quiet();
    try {
      await stack.parts.bus.down("SIGTERM");
      await requireAllStored(machine);
      const logs = readLogs(stack.folder, stack.bus, [target]);
      const log = logs.reduce((most, one) => (one.pieces.length > most.pieces.length ? one : most));
      const pieces = Math.min(amount, log.pieces.length - 1);
      if (pieces > 0) cutLog(log, stack.bus, pieces);
      const last = log.pieces.at(-pieces - 1)?.last ?? log.last;
      if (pieces > 0) cutAt.set(placeOf(log), { last, life: log.life });
      machine.say(`${placeOf(log)} went back from ${log.last} to ${last}`);
      await stack.parts.bus.up();
    } finally {
      await stack.parts.bus.up().finally(release);
    }
    return async () => {};
  },
};
