import { type Fault, type OnFault, toBeMended } from "../platform/errors.js";

/** SQL states (ISO 9075, MySQL's "Server Error Message Reference") of syntax and rights (42), of who may come in (28), of a missing database (3D), of what the server can't do (0A). */
const STATES = /^(42|28|3D|0A)/;
/** Of those the ones that pass: limits of connections a user has, and of what a statement may read. */
const PASSING = new Set([1104, 1162, 1203, 1226]);
/** What has no state of these and is of the kind: columns, values and collations that don't fit the statement, variables and engines that aren't there, a password to be changed, TLS that is demanded, tables whose files are gone, a binary log that can't take it. */
const ALSO = new Set([
  1129, 1130, 1136, 1356, 1449, 1524, 1665, 1812, 1814, 1193, 1194, 1195, 1222, 1231, 1232, 1238, 1251, 1253,
  1267, 1270, 1271, 1273, 1289, 1364, 1820, 1862, 3118, 3159, 4151,
]);

/**
 * Whether the server said that a statement or a connection is none that it takes: a function, table, column or right that is missing, or a syntax it doesn't know. No repetition
 * mends that, only whoever runs the database or the app.
 */
export function isFault(error: unknown): error is { readonly errno: number; readonly sqlState: string } {
  const { errno, sqlState } = (error ?? {}) as { errno?: unknown; sqlState?: unknown };
  if (typeof errno !== "number" || typeof sqlState !== "string" || PASSING.has(errno)) return false;
  return STATES.test(sqlState) || ALSO.has(errno);
}

const STATEMENT_CHARACTERS = 200;

/** The result of asking the server; a fault is told, and thrown as the error that says no try helps. */
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

/** Alike are those of one code and one statement. A syntax error quotes the statement from its fault on, with the values in it. */
function faultOf(error: { readonly errno: number; readonly sqlState: string }, statement?: string): Fault {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return {
    what: `${String(code)}: ${String(message).replace(/ near '[\s\S]*/, "")}`,
    kind: `${error.errno} ${statement ?? ""}`,
    isOwn: error.sqlState.startsWith("28"),
    ...(statement === undefined ? {} : { statement }),
  };
}
