import { compileFilter, FilterError } from "./filter.js";
import type { Selection } from "./hub.js";
import { badRequest } from "./restCall.js";

/** The versions of the data plane; a call without one is taken, as the vendor's emulator does. */
const API_VERSIONS = ["2021-10-01", "2022-11-01", "2023-07-01", "2024-01-01", "2024-12-01"];

/** What every answer says in `api-supported-versions`. */
export const SUPPORTED_VERSIONS = API_VERSIONS.join(", ");

/** Throws RestError for an `api-version` that isn't one. */
export function requireVersion(query: URLSearchParams): void {
  const versions = query.getAll("api-version");
  if (versions.length === 0 || (versions.length === 1 && API_VERSIONS.includes(versions[0]!))) return;
  throw badRequest("The specified API version is not supported.", "api-version");
}

/** A parameter's whole number from `least` to `most`, undefined where it isn't said; throws RestError. */
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

/** Whom a call leaves out or picks; throws RestError. */
export function selectionOf(query: URLSearchParams): Selection {
  return { excluded: new Set(query.getAll("excluded")), filter: filterOf(query.get("filter")) };
}

/** The compiled filter; undefined where there is none; throws RestError. */
export function filterOf(filter: string | null): Selection["filter"] {
  if (!filter) return undefined;
  try {
    return compileFilter(filter);
  } catch (error) {
    if (error instanceof FilterError) throw badRequest(error.message);
    throw error;
  }
}
