import type { ResultSetHeader } from "mysql2/promise";
import type { Transaction } from "./transaction.js";

/** An id that the database gives to a row once the transaction's statements run. */
export interface IdToCome {
  /** As a value of a statement that runs later in the transaction, it is the id. */
  toSqlString(): string;
  /** The id, once the statements have run. */
  known(): number;
}

/**
 * Has an INSERT of `count` rows run later. Returns the ids that the rows will have, in their order, `step` apart. The
 * server keeps the first one under `name`, which no other statement of the transaction may use.
 */
export function insertLater(
  tx: Transaction,
  sql: string,
  values: unknown,
  { name, count, step }: { readonly name: string; readonly count: number; readonly step: number },
): readonly IdToCome[] {
  let first: number | undefined;
  tx.later(sql, values, ({ insertId }: ResultSetHeader) => {
    first = insertId;
  });
  tx.later(`SET @${name} = LAST_INSERT_ID()`);
  return Array.from({ length: count }, (_, place) => ({
    toSqlString: () => `@${name} + ${place * step}`,
    known: () => {
      if (first === undefined) throw new Error(`The rows of ${name} are not inserted yet.`);
      return first + place * step;
    },
  }));
}
