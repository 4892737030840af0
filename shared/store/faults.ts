import { defined } from "../platform/defined.js";
import { type Fault, type OnFault, toBeMended } from "../platform/errors.js";

/**
 * The SQL states of faults (ISO 9075, MySQL's "Server Error Message Reference"): syntax and rights (42),
 * refused log-ins (28), a missing database (3D), features that the server doesn't have (0A).
 */
const STATES = /^(42|28|3D|0A)/;
/**
 * Error numbers with such a state that pass: limits on a user's connections, and on how much a statement may
 * read.
 */
const PASSING = new Set([1104, 1162, 1203, 1226]);
/**
 * Error numbers of faults without such a state: columns, values and collations that don't fit the statement,
 * missing variables and engines, a password that must be changed, TLS that is demanded, tables whose files
 * are gone, a binary log that can't take the statement.
 */
const ALSO = new Set([
  1129, 1130, 1136, 1356, 1449, 1524, 1665, 1812, 1814, 1193, 1194, 1195, 1222, 1231, 1232, 1238, 1251, 1253,
  1267, 1270, 1271, 1273, 1289, 1364, 1820, 1862, 3118, 3159, 4151,
]);

/**
 * Whether the server said that it never takes this statement or connection: a function, table, column or
 * right is missing, or the server doesn't know the syntax. No repetition mends that. Only the people who run
 * the database or the app can.
 */
export function isFault(error: unknown): error is { readonly errno: number; readonly sqlState: string } {
  const { errno, sqlState } = (error ?? {}) as { errno?: unknown; sqlState?: unknown };
  if (typeof errno !== "number" || typeof sqlState !== "string" || PASSING.has(errno)) return false;
  return STATES.test(sqlState) || ALSO.has(errno);
}

const STATEMENT_CHARACTERS = 200;

/**
 * Waits for the server's answer. Tells `onFault` of a fault, and throws it as an error that asks for no
 * retry.
 */
export async function tellingFaults<T>(
  asked: Promise<T>,
  sql: string | undefined,
  onFault: OnFault,
): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (!isFault(error)) throw error;
    onFault(faultOf(error, sql?.replace(/\s+/g, " ").trim().slice(0, STATEMENT_CHARACTERS)));
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
