import { compileFilter, FilterError } from "./filter.js";
import type { Selection } from "./hub.js";
import { badRequest } from "./restCall.js";

/** The versions of the data plane. A call without one is accepted, as by the vendor's emulator. */
const API_VERSIONS = ["2021-10-01", "2022-11-01", "2023-07-01", "2024-01-01", "2024-12-01"];

/** The value of `api-supported-versions` in every answer. */
export const SUPPORTED_VERSIONS = API_VERSIONS.join(", ");

/** Throws RestError for an `api-version` that isn't one. */
export function requireVersion(query: URLSearchParams): void {
  const versions = query.getAll("api-version");
  if (versions.length === 0 || (versions.length === 1 && API_VERSIONS.includes(versions[0]!))) return;
  throw badRequest("The specified API version is not supported.", "api-version");
}

/** A parameter's whole number from `least` to `most`. Undefined when it is missing. Throws RestError. */
export function numberIn(
  query: URLSearchParams,
  name: string,
  least: number,
  most = 2_147_483_647,
): number | undefined {
  const [text, ...more] = query.getAll(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (more.length === 0 && /^\d+$/.test(text) && value >= least && value <= most) return value;
  throw badRequest(`Invalid ${name}.`, name);
}

/** The receivers that a call leaves out or picks. Throws RestError. */
export function selectionOf(query: URLSearchParams): Selection {
  return { excluded: new Set(query.getAll("excluded")), filter: filterOf(query.get("filter")) };
}

/** The compiled filter. Undefined without one. Throws RestError. */
export function filterOf(filter: string | null): Selection["filter"] {
  if (!filter) return undefined;
  try {
    return compileFilter(filter);
  } catch (error) {
    if (error instanceof FilterError) throw badRequest(error.message);
    throw error;
  }
}
