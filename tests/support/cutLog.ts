import type { BusName } from "../../local/stackBuses.js";
import { cutLog as cutPieces, readLogs } from "../chaos/stack/busLog.js";

/**
 * Of the partition of `hub` with the most events, the log keeps only the first `count`: as after a failover to
 * a copy that lacks the rest. The events were sent one by one. The stack of the folder must not run.
 */
export function cutLog(bus: BusName, folder: string, hub: string, count: number): void {
  const log = readLogs(folder, bus, [hub]).reduce((most, one) =>
    one.pieces.length > most.pieces.length ? one : most,
  );
  const { length } = log.pieces;
  if (length <= count) throw new Error(`${log.file} has only ${length} events`);
  cutPieces(log, bus, length - count);
}
