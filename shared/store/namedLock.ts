import { createHash } from "node:crypto";
import type { RowDataPacket } from "mysql2/promise";
import { ChatError } from "../platform/errors.js";
import {
  type Asked,
  type Connected,
  type Database,
  formatted,
  type Later,
  type Queryable,
  type Statement,
  using,
} from "./database.js";
import { isUsableAfter } from "./failures.js";

/**
 * The most of a pool's connections that wait for named locks, or hold them while something outside the
 * database is called: 6 of 16. The others are for what runs under those locks, and for everybody else.
 */
const heldAtOnce = ({ poolSize }: Database): number => Math.max(1, Math.floor((poolSize * 3) / 8));
const WAIT_SECONDS = 8;

const WAITING_AT_MOST = 500;

let held = 0;
const waiting: (() => void)[] = [];

/** The connection that holds the lock. What runs `later` goes to the server together with the lock's release. */
export interface Locked extends Queryable, Later {}

/**
 * Runs `work` on a connection of its own that holds the lock of this name. Of all processes' connections one
 * at a time holds it. It is for work that calls something outside the database, for which no row must be
 * locked. Throws `UNAVAILABLE` when the lock does not come free within 8 s.
 */
export const withNamedLock = <T>(
  database: Database,
  name: string,
  work: (db: Locked) => Promise<T>,
): Promise<T> => withNamedLockKnowing(database, name, async () => {}, work);

/**
 * The same. What `lookUp` asks for before it awaits anything goes to the server together with the request for the
 * lock, and runs once that is held. It must change nothing, and may be called twice. `work` gets what it found.
 */
export async function withNamedLockKnowing<T, Found>(
  database: Database,
  name: string,
  lookUp: (db: Queryable) => Promise<Found>,
  work: (db: Locked, found: Found) => Promise<T>,
): Promise<T> {
  await takeSeat(heldAtOnce(database));
  try {
    let taken: { readonly found: Promise<Found> };
    return await using(
      database,
      (db) => releasing(db, name, async (locked) => work(locked, await taken.found)),
      {
        begin: async (db) => {
          taken = await takeAndAsk(db, name, lookUp);
        },
      },
    );
  } finally {
    leaveSeat();
  }
}

/** The same on a connection that may hold other named locks already. */
export async function holdingNamedLock<T>(db: Queryable, name: string, work: () => Promise<T>): Promise<T> {
  const { sql, values } = taking(name);
  const [rows] = await db.query<LockRow[]>(sql, values);
  requireTaken(rows);
  try {
    return await work();
  } finally {
    await release(db, name);
  }
}

interface LockRow extends RowDataPacket {
  got: number | null;
}

const taking = (name: string) => ({
  sql: `SELECT GET_LOCK(${LOCK}, ?) AS got`,
  values: [digestOf(name), WAIT_SECONDS],
});

const freeing = (name: string) => ({ sql: `SELECT RELEASE_LOCK(${LOCK})`, values: [digestOf(name)] });

function requireTaken([row]: readonly LockRow[]): void {
  if (row?.got !== 1) throw new ChatError("UNAVAILABLE", "Others are busy with the same thing; try again.");
}

/** If the connection is lost, the server releases the lock. */
async function release(db: Queryable, name: string): Promise<void> {
  const { sql, values } = freeing(name);
  await db.query(sql, values);
}

/**
 * Takes the lock, and answers what `lookUp` asks for. What that finds, or how it fails, is for who then holds the lock.
 */
async function takeAndAsk<Found>(
  db: Connected,
  name: string,
  lookUp: (db: Queryable) => Promise<Found>,
): Promise<{ readonly found: Promise<Found> }> {
  const asked: Asked[] = [];
  let isSent = false;
  const found = lookUp({
    query: (sql, values) =>
      isSent
        ? db.query(sql, values)
        : new Promise((resolve, reject) => asked.push({ resolve, reject, ...formatted(sql, values) })),
  });
  found.catch(() => {});
  isSent = true;
  try {
    const { sql, values } = taking(name);
    const [lock, ...answers] = await db.together([formatted(sql, values), ...asked]);
    requireTaken(lock![0]);
    for (const [index, { resolve }] of asked.entries()) resolve(answers[index]!);
    return { found };
  } catch (error) {
    for (const { reject } of asked) reject(error);
    // What was asked behind the lock may be what failed.
    if (asked.length > 0 && isUsableAfter(error)) await release(db, name);
    throw error;
  }
}

/** Runs `work`, then what it left for later together with the release. */
async function releasing<T>(db: Connected, name: string, work: (db: Locked) => Promise<T>): Promise<T> {
  const last: Statement[] = [];
  try {
    const result = await work({
      query: (sql, values) => db.query(sql, values),
      later: (sql, values) => void last.push(formatted(sql, values)),
    });
    const { sql, values } = freeing(name);
    await db.together([...last, formatted(sql, values)]);
    return result;
  } catch (error) {
    await release(db, name);
    throw error;
  }
}

/**
 * A lock belongs to the whole server, so its name tells the databases apart. Two databases with the same
 * CRC-32 would only wait for each other.
 */
const LOCK = "CONCAT(CRC32(DATABASE()), ' ', ?)";

/**
 * Hashed, because a lock's name has at most 64 characters. Hashed here, because MySQL 9 has neither SHA1 nor
 * MD5.
 */
const digestOf = (name: string): string => createHash("sha256").update(name).digest("hex").slice(0, 40);

/** Takes one of the seats, or waits for it. Throws `UNAVAILABLE` where 500 wait already. */
async function takeSeat(seats: number): Promise<void> {
  if (held < seats) held += 1;
  else if (waiting.length < WAITING_AT_MOST) await new Promise<void>((resolve) => waiting.push(resolve));
  else throw new ChatError("UNAVAILABLE", "Too many are waiting for the same thing; try again.");
}

/** Hands the seat on to the caller that has waited longest. */
function leaveSeat(): void {
  const next = waiting.shift();
  if (next) next();
  else held -= 1;
}
