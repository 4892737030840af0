import { Refusal } from "./broker.js";
import type { Partition } from "./partition.js";

const FILTER = "apache.org:selector-filter:string";

const SELECTOR = /^amqp\.annotation\.x-opt-(offset|sequence-number|enqueued-time)\s*(>=|>)\s*'?([^']*?)'?$/;

/**
 * The sequence number a reader's filter starts at: `amqp.annotation.x-opt-<what> > 'value'` (or `>=`, which includes
 * the event itself). Without a filter, the oldest event. Throws Refusal for a filter that says something else, and for
 * a place that doesn't exist yet, which is what a checkpoint of deleted data looks like.
 */
export function startOf(filter: Record<string, unknown> | null | undefined, partition: Partition): number {
  const selector = selectorIn(filter?.[FILTER]);
  if (selector === undefined) return partition.firstSequence;
  const match = SELECTOR.exec(selector.trim());
  if (!match) throw invalid(`The filter '${selector}' is not supported.`);
  const [, what, operator, value] = match as unknown as [string, string, string, string];
  if (what === "offset" && value === "-1") return partition.firstSequence;
  if (what === "offset" && value === "@latest") return partition.endSequence;
  const wanted = Number(value);
  if (value === "" || !Number.isSafeInteger(wanted))
    throw invalid(`The filter '${selector}' holds no whole number.`);
  const from = operator === ">=" ? wanted : wanted + 1;
  if (what === "enqueued-time") return partition.firstWhere((event) => event.enqueuedTime >= from);
  if (what === "offset") {
    if (wanted > partition.endOffset) throw behindEnd("offset", value, partition.last?.offset ?? -1);
    return partition.firstWhere((event) => event.offset >= from);
  }
  if (from > partition.endSequence) throw behindEnd("sequence number", value, partition.endSequence - 1);
  return from;
}

/** The filter is a described string; depending on the client it arrives as the string or around it. */
function selectorIn(value: unknown): string | undefined {
  let inner = value;
  for (let depth = 0; depth < 4 && typeof inner === "object" && inner !== null && "value" in inner; depth++)
    inner = inner.value;
  return inner === undefined || inner === null ? undefined : String(inner);
}

function behindEnd(what: string, value: string, last: number): Refusal {
  return invalid(`The supplied ${what} '${value}' is invalid. The last ${what} in the system is '${last}'.`);
}

const invalid = (text: string): Refusal => new Refusal("com.microsoft:argument-error", text);
