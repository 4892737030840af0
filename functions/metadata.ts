import { inspect } from "node:util";

type Members = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Members => typeof value === "object" && value !== null;

/**
 * A member by its name in any case: libraries have made the first letter of some names small, and left
 * others.
 */
export function member(of: unknown, name: string): unknown {
  if (!isObject(of)) return undefined;
  if (Object.hasOwn(of, name)) return of[name];
  const found = Object.keys(of).find((each) => each.toLowerCase() === name.toLowerCase());
  return found === undefined ? undefined : of[found];
}

/**
 * A sequence number. Workers have sent 64-bit numbers in several shapes: a number, its digits, a bigint, or
 * the two 32-bit halves of a `Long`, which arrives as a plain object. Nothing for any other shape, and for a
 * number that is larger than a safe integer.
 */
export function sequenceNumberOf(value: unknown): number | undefined {
  const number = plainNumber(value);
  return number !== undefined && Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}

function plainNumber(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "string") return /^\d{1,16}$/.test(value) ? Number(value) : undefined;
  const [low, high] = [member(value, "low"), member(value, "high")];
  if (!Number.isInteger(low) || !Number.isInteger(high)) return undefined;
  return (high as number) * 2 ** 32 + ((low as number) >>> 0);
}

/** A value, parsed if it is JSON text. Nothing for text that is no JSON. */
export function fromJson(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/**
 * A list: an array, its JSON, a typed array, or the object in which it crossed the wire (`{ sint64: […] }`).
 */
export function listOf(value: unknown): readonly unknown[] {
  const list = fromJson(value);
  if (Array.isArray(list)) return list;
  if (ArrayBuffer.isView(list) && !(list instanceof DataView)) return Array.from(list as Uint8Array);
  const inner = isObject(list) ? Object.values(list) : [];
  return inner.length === 1 && Array.isArray(inner[0]) ? inner[0] : [];
}

/** When the bus took an event. Times without a zone are UTC, as .NET writes some. Nothing for other values. */
export function timeOf(value: unknown): { readonly enqueuedOn?: Date } {
  if (typeof value !== "string" || !/^\d{4}-\d\d-\d\dT/.test(value)) return {};
  const enqueuedOn = new Date(/(Z|[+-]\d\d:\d\d)$/.test(value) ? value : `${value}Z`);
  return Number.isNaN(enqueuedOn.getTime()) ? {} : { enqueuedOn };
}

/** Enough of a value to see what the host sends, and little of what users wrote. */
export const shapeOf = (value: unknown): string =>
  inspect(value, {
    depth: 2,
    maxArrayLength: 3,
    maxStringLength: 50,
    breakLength: Number.POSITIVE_INFINITY,
  }).slice(0, 200);
