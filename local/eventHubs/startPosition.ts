import type { Partition } from "./partition.js";
import { Refusal } from "./refusals.js";

const FILTER = "apache.org:selector-filter:string";

/** The same filter by number, as the registry of filters has it. */
const FILTER_CODE = 0x468c00000004;

const SELECTOR = /^amqp\.annotation\.x-opt-(offset|sequence-number|enqueued-time)\s*(>=|>)\s*'?([^']*?)'?$/;

/** The filters of a source, by name. */
type Filters = Readonly<Record<string, unknown>> | null | undefined;

/**
 * The sequence number that a reader's filter starts at: `amqp.annotation.x-opt-<what> > 'value'`, or `>=`,
 * which includes the event itself. Without a filter it is the oldest event. Throws Refusal for any other
 * filter, and for a position that doesn't exist yet: a checkpoint of deleted data looks like that.
 */
export function startOf(filter: Filters, partition: Partition): number {
  const selector = selectorIn(Object.values(filterIn(filter) ?? {})[0]);
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

/**
 * The one filter of a reader that this server understands, under the name its client gave it. Undefined when
 * there is none.
 */
export function filterIn(filter: Filters): Record<string, unknown> | undefined {
  const found = Object.entries(filter ?? {}).find(([name, value]) => name === FILTER || isSelector(value));
  return found && { [found[0]]: found[1] };
}

/**
 * True for a filter with the selector's descriptor (AMQP 1.0 §3.5.8). Clients mostly give it that name too.
 */
function isSelector(value: unknown): boolean {
  const { descriptor } = (value ?? {}) as { descriptor?: { value?: unknown } };
  return descriptor?.value === FILTER || Number(descriptor?.value) === FILTER_CODE;
}

/**
 * The text of a filter, which is a described string. Depending on the client it arrives as the string or
 * wrapped.
 */
function selectorIn(value: unknown): string | undefined {
  let inner = value;
  for (
    let depth = 0;
    depth < 4 && typeof inner === "object" && inner !== null && "value" in inner;
    depth += 1
  )
    inner = inner.value;
  return inner === undefined || inner === null ? undefined : String(inner);
}

function behindEnd(what: string, value: string, last: number): Refusal {
  return invalid(`The supplied ${what} '${value}' is invalid. The last ${what} in the system is '${last}'.`);
}

const invalid = (text: string): Refusal => new Refusal("com.microsoft:argument-error", text);
