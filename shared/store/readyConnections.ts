import type { Pool, PoolConnection, RowDataPacket } from "mysql2/promise";
import { LATE, within } from "../platform/async.js";
import { ChatError, type OnFault } from "../platform/errors.js";
import { log } from "../platform/log.js";
import { CONNECTION_MS } from "./connecting.js";
import { isLost, isSilent } from "./failures.js";
import { tellingFaults } from "./faults.js";
import { SESSION_STATEMENTS } from "./session.js";

/** A connection is asked this often whether its server still takes changes: one that is only read never fails. */
const ASKED_EVERY_MS = 15_000;
/** An idle connection that doesn't answer by then is taken for dead. */
const SILENT_MS = 1_000;
/** Where the address goes on leading to a read-only server, its connections are opened anew this often at most. */
const LEFT_EVERY_MS = 1_000;

export interface ReadyConnections {
  /** As `Database.getConnection`. */
  readonly take: (fresh?: boolean) => Promise<PoolConnection>;
  /** Takes none of the connections again that are open now. Those in use end when they come back. */
  readonly leave: () => void;
  /** A statement had no answer: each other connection is asked before it is taken again. */
  readonly doubt: () => void;
}

/** A connection's number in the order of opening, and when its server was last known to take changes. */
interface Known {
  readonly number: number;
  asked: number;
}

/**
 * Takes connections from a pool and makes them ready. A connection that can't be made ready is destroyed: it
 * would escape, commit or lock in another way than it should.
 */
export function readyConnections(pool: Pool, onFault: OnFault, now: () => number): ReadyConnections {
  let opened = 0;
  let givenUp = 0;
  let leftAt = Number.NEGATIVE_INFINITY;
  let doubtedAt = Number.NEGATIVE_INFINITY;
  const all = new WeakMap<object, Known>();

  const known = async (connection: PoolConnection, left: () => number): Promise<Known> => {
    const before = all.get(connection.connection);
    if (before) return before;
    await makeReady(connection, left, onFault);
    opened += 1;
    const one = { number: opened, asked: now() };
    all.set(connection.connection, one);
    return one;
  };
  const giveUp = (why: string): void => {
    if (now() - leftAt < LEFT_EVERY_MS) return;
    log.warn(`the database's server ${why}: its connections are given up`);
    leftAt = now();
    givenUp = opened;
  };
  const leave = (): void => giveUp("takes no changes");
  const doubt = (): void => {
    doubtedAt = now();
  };
  /** Asks where it is time. A lost connection counts as one that can't be taken. */
  const stands = async (connection: PoolConnection, one: Known): Promise<boolean> => {
    if (now() - one.asked < ASKED_EVERY_MS && one.asked > doubtedAt) return true;
    one.asked = now();
    const answer = await isReadOnly(connection);
    if (answer === "readOnly") leave();
    // What makes a network forget one idle connection makes it forget the others.
    if (answer === "silent") giveUp("does not answer");
    return answer === "takesChanges";
  };
  const take = async (fresh = false): Promise<PoolConnection> => {
    const before = opened;
    const due = performance.now() + CONNECTION_MS;
    const left = (): number => Math.max(1, Math.ceil(due - performance.now()));
    for (;;) {
      const connection = await tellingFaults(connectionOf(pool, left()), undefined, onFault);
      const one = await known(connection, left);
      // After a restart of the server all older connections are lost.
      const isOld = one.number <= givenUp || (fresh && one.number <= before);
      if (!isOld && (await stands(connection, one))) return connection;
      connection.destroy();
    }
  };
  return { take, leave, doubt };
}

async function makeReady(connection: PoolConnection, left: () => number, onFault: OnFault): Promise<void> {
  try {
    for (const sql of SESSION_STATEMENTS)
      await tellingFaults(connection.query({ sql, timeout: left() }), sql, onFault);
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

async function isReadOnly(
  connection: PoolConnection,
): Promise<"readOnly" | "takesChanges" | "lost" | "silent"> {
  try {
    const sql = "SELECT @@global.read_only AS answer";
    const [[row]] = await connection.query<RowDataPacket[]>({ sql, timeout: SILENT_MS });
    return ["0", "OFF"].includes(String(row?.["answer"])) ? "takesChanges" : "readOnly";
  } catch (error) {
    if (isLost(error)) return "lost";
    if (isSilent(error)) return "silent";
    connection.destroy();
    throw error;
  }
}

async function connectionOf(pool: Pool, ms: number): Promise<PoolConnection> {
  const waiting = pool.getConnection();
  const connection = await within(ms, waiting);
  if (connection !== LATE) return connection;
  waiting.then(
    (unused) => unused.release(),
    () => {},
  );
  throw new ChatError("UNAVAILABLE", "No connection to the database became free in time; try again.");
}
