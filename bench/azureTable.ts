import { INSTANCES, KNOWN } from "./capacity/limits.js";
import type { Meter } from "./meter.js";

/** What was counted of one shape of load. */
export interface Counted {
  readonly name: string;
  /** Of a message, or of a message and a read. */
  readonly each: Meter;
  readonly eventsABatch: number;
}

/** What a message costs on Azure: calls of each service and their bytes, and what the functions are billed by. */
export interface AzureRow {
  readonly shape: string;
  readonly upstream: string;
  readonly bus: string;
  readonly rest: string;
  readonly sql: string;
  readonly redis: string;
  readonly "executions a million": string;
  readonly "GB-s a million": string;
}

const MEMORY_MB = 2_048;

/**
 * A row for each shape. Calls stand before their bytes, headers, statements and answers included; of the bus they are
 * the events' own. A batch is one execution, however many events it has. The GB-seconds are those of instances of
 * 2 GB that are as busy as `npm run capacity` plans them at the peak: at less traffic more of an instance's time is
 * idle, and billed.
 */
export function azureRows(
  shapes: readonly Counted[],
  bytes: { readonly messageEvent: number; readonly readEvent: number },
): readonly AzureRow[] {
  const cpuShare = INSTANCES[MEMORY_MB]! * KNOWN.busyShare.value;
  return shapes.map(({ name, each, eventsABatch }) => {
    const events = each.messageEvents + each.readEvents;
    const eventBytes = each.messageEvents * bytes.messageEvent + each.readEvents * bytes.readEvent;
    const executions = (each.upstreamCalls + events / eventsABatch) * 1e6;
    const cpuSeconds = (each.httpCpuMs + each.eventsCpuMs) * 1e3;
    return {
      shape: name,
      upstream: cell(each.upstreamCalls, each.upstreamBytes),
      bus: cell(events, eventBytes),
      rest: cell(each.restCalls, each.restBytes),
      sql: cell(each.sqlStatements, each.sqlBytes),
      redis: cell(each.redisCalls, each.redisBytes),
      "executions a million": Math.round(executions).toLocaleString("en"),
      "GB-s a million": Math.round((cpuSeconds / cpuShare) * (MEMORY_MB / 1_024)).toLocaleString("en"),
    };
  });
}

const cell = (calls: number, bytes: number): string =>
  `${calls.toFixed(2)}, ${Math.round(bytes).toLocaleString("en")} B`;
