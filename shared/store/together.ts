import type { FieldPacket } from "mysql2/promise";
import {
  type Asked,
  type Database,
  formatted,
  isSelect,
  onceMore,
  type Queryable,
  type Statement,
  using,
} from "./database.js";

/**
 * The most characters of statements that go together. What a server takes as one packet is at least some times as
 * many bytes, wherever it has not been made less.
 */
const TOGETHER_CHARACTERS = 64_000;

/** Those of the statements from `first` on that go together: one at least. */
export function fitting<T extends Statement>(statements: readonly T[], first: number): readonly T[] {
  let end = first + 1;
  let characters = statements[first]!.text.length;
  while (end < statements.length) {
    characters += statements[end]!.text.length;
    if (characters > TOGETHER_CHARACTERS) break;
    end += 1;
  }
  return statements.slice(first, end);
}

/**
 * What is asked of it without awaiting anything in between goes to the server together, in that order, on one
 * connection and outside a transaction: a round trip costs more than most statements. Where one fails, those behind it
 * don't run, and all of them throw, those before it too, though they have taken effect. Together they have the time of
 * one statement. SELECTs alone are repeated once if their connection turns out to be lost.
 */
export function together(database: Database): Queryable {
  let waiting: Asked[] = [];
  const send = async (): Promise<void> => {
    const asked = waiting;
    waiting = [];
    const ask = (fresh: boolean) => askAll(database, asked, fresh);
    try {
      const answers = await (asked.every(({ sql }) => isSelect(sql)) ? onceMore(ask) : ask(false));
      for (const [index, { resolve }] of asked.entries()) resolve(answers[index]!);
    } catch (error) {
      for (const { reject } of asked) reject(error);
    }
  };
  return {
    query: (sql, values) =>
      new Promise((resolve, reject) => {
        const statement = formatted(sql, values);
        if (waiting.length === 0) queueMicrotask(() => void send());
        waiting.push({ resolve, reject, ...statement });
      }),
  };
}

const askAll = (database: Database, asked: readonly Asked[], fresh: boolean) =>
  using(
    database,
    async (connection) => {
      const answers: [never, FieldPacket[]][] = [];
      while (answers.length < asked.length)
        answers.push(...(await connection.together(fitting(asked, answers.length))));
      return answers;
    },
    { fresh },
  );
