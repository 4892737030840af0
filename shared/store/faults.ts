import { defined } from "../platform/defined.js";
import { type Fault, type OnFault, toBeMended } from "../platform/errors.js";
import { failureOf } from "./failures.js";

/**
 * Whether the server said that it never takes this statement or connection: a function, table, column or
 * right is missing, or the server doesn't know the syntax. No repetition mends that. Only the people who run
 * the database or the app can.
 */
export function isFault(error: unknown): error is { readonly errno: number; readonly sqlState: string } {
  const { errno, sqlState } = (error ?? {}) as { errno?: unknown; sqlState?: unknown };
  return typeof errno === "number" && typeof sqlState === "string" && failureOf(error).kind === "service";
}

/** Of several that went together there are as many as a batch has. */
const STATEMENT_CHARACTERS = 500;

/**
 * Waits for the server's answer. Tells `onFault` of a fault, and throws it as an error that asks for no
 * retry.
 */
export async function tellingFaults<T>(
  asked: Promise<T>,
  sql: string | (() => string) | undefined,
  onFault: OnFault,
): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (!isFault(error)) throw error;
    const statement = typeof sql === "function" ? sql() : sql;
    onFault(faultOf(error, statement?.replace(/\s+/g, " ").trim().slice(0, STATEMENT_CHARACTERS)));
    throw toBeMended(error);
  }
}

/**
 * Faults of one code and one statement are of one kind. A syntax error quotes the statement from its fault
 * on, with the users' values in it: that part of the text is left out.
 */
function faultOf(error: { readonly errno: number; readonly sqlState: string }, statement?: string): Fault {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return {
    what: `${String(code)}: ${String(message).replace(/ near '[\s\S]*/, "")}`,
    kind: `${error.errno} ${statement ?? ""}`,
    isOwn: error.sqlState.startsWith("28"),
    ...defined({ statement }),
  };
}
