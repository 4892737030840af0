import { createHash } from "node:crypto";
import type { RowDataPacket } from "mysql2/promise";
import { ChatError } from "../platform/errors.js";
import { type Database, type Queryable, using } from "./database.js";

/**
 * The most of a pool's connections that wait for named locks, or hold them while something outside the
 * database is called: 6 of 16. The others are for what runs under those locks, and for everybody else.
 */
const heldAtOnce = ({ poolSize }: Database): number => Math.max(1, Math.floor((poolSize * 3) / 8));
const WAIT_SECONDS = 8;

const WAITING_AT_MOST = 500;

let held = 0;
const waiting: (() => void)[] = [];

/**
 * Runs `work` on a connection of its own that holds the lock of this name. Of all processes' connections one
 * at a time holds it. It is for work that calls something outside the database, for which no row must be
 * locked. Throws `UNAVAILABLE` when the lock does not come free within 8 s.
 */
export async function withNamedLock<T>(
  database: Database,
  name: string,
  work: (db: Queryable) => Promise<T>,
): Promise<T> {
  await takeSeat(heldAtOnce(database));
  try {
    return await using(database, (db) => releasing(db, name, () => work(db)), {
      begin: (db) => takeNamedLock(db, name),
    });
  } finally {
    leaveSeat();
  }
}

/** The same on a connection that may hold other named locks already. */
export async function holdingNamedLock<T>(db: Queryable, name: string, work: () => Promise<T>): Promise<T> {
  await takeNamedLock(db, name);
  return releasing(db, name, work);
}

async function takeNamedLock(db: Queryable, name: string): Promise<void> {
  const [[row]] = await db.query<(RowDataPacket & { got: number | null })[]>(
    `SELECT GET_LOCK(${LOCK}, ?) AS got`,
    [digestOf(name), WAIT_SECONDS],
  );
  if (row?.got !== 1) throw new ChatError("UNAVAILABLE", "Others are busy with the same thing; try again.");
}

async function releasing<T>(db: Queryable, name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    // If the connection is lost, the server releases the lock.
    await db.query(`SELECT RELEASE_LOCK(${LOCK})`, [digestOf(name)]);
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
