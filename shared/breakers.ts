import type { Broadcaster } from "./broadcast/broadcaster.js";
import { wrapped } from "./broadcast/measured.js";
import type { EventBus } from "./bus/eventBus.js";
import { Breaker } from "./platform/breaker.js";
import { ChatError, isToBeMended } from "./platform/errors.js";
import { type Database, using } from "./store/database.js";

interface Refusing {
  readonly database: Database;
  readonly bus: EventBus;
  readonly broadcaster: Broadcaster;
}

/** A probe takes a connection away from the others for this long at most. */
const PROBE_MS = 2_000;

/**
 * The same adapters for frames and calls: what they want of a server that hangs is refused at once. Batches,
 * and what is left to do after a commit, take the adapters themselves: they wait, and refuse nothing.
 */
export function refusing({ database, bus, broadcaster }: Refusing): Refusing {
  const ask = { ...database, statementMs: PROBE_MS };
  const answeredAt = (): number => database.answers.at;
  const forDatabase = new Breaker("The database", () => using(ask, (db) => db.query("SELECT 1")), {
    answeredAt,
  });
  const forBus = new Breaker("The event bus", () => bus.ping());
  const forSockets = new Breaker("The socket service", () => broadcaster.ping());
  return {
    database: {
      ...database,
      query: (sql, values) => forDatabase.run(() => database.query(sql, values), isOfDatabase),
      getConnection: (fresh) => forDatabase.take(() => database.getConnection(fresh), isOfDatabase),
    },
    bus: {
      ...bus,
      publish: (...event) => forBus.run(() => bus.publish(...event), isToBeMended),
      publishAll: (...events) => forBus.run(() => bus.publishAll(...events), isToBeMended),
    },
    broadcaster: wrapped(broadcaster, (kind, call) =>
      kind === "clientUrl" ? call() : forSockets.run(call, isOfSockets),
    ),
  };
}

/** The server's own error, which has an SQL state, also where it has to be mended. */
const isOfDatabase = (error: unknown): boolean =>
  isToBeMended(error) || typeof (error as { sqlState?: unknown } | null)?.sqlState === "string";

/** What came with a status: a refusal, or the reason of an `UNAVAILABLE`. */
function isOfSockets(error: unknown): boolean {
  const answer = error instanceof ChatError ? error.cause : error;
  return typeof (answer as { statusCode?: unknown } | null | undefined)?.statusCode === "number";
}
