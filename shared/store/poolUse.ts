import type { Pool } from "mysql2/promise";
import type { PoolUse } from "../platform/measures.js";

/** mysql2 has no name of its own for these. */
const LISTS = { all: "_allConnections", idle: "_freeConnections", waiting: "_connectionQueue" } as const;

/** How a pool is used right now: connections at work, connections that wait for some, and callers that do. */
export function poolUse({ pool }: Pool): PoolUse {
  const idle = lengthOf(pool, LISTS.idle);
  return { used: lengthOf(pool, LISTS.all) - idle, idle, waiting: lengthOf(pool, LISTS.waiting) };
}

function lengthOf(pool: object, list: string): number {
  const found: unknown = Reflect.get(pool, list);
  const length: unknown = typeof found === "object" && found !== null ? Reflect.get(found, "length") : 0;
  return typeof length === "number" ? length : 0;
}
