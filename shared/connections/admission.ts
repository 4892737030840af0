import type { Broadcaster } from "../broadcast/broadcaster.js";
import { keyOfLane } from "../fanout/groups.js";
import { destinationKey } from "../frames/destinations.js";
import type { ChatError } from "../platform/errors.js";
import { log } from "../platform/log.js";
import { count } from "../platform/metrics.js";
import type { Admission, RateKind, Rates, Session, Sessions } from "../redis/ports.js";
import { closeEvicted } from "./closing.js";
import type { Connection } from "./connection.js";
import type { ConnectionState } from "./connectionState.js";
import type { Farewell } from "./farewell.js";
import { rateOf, type SessionLimits, tooMany } from "./rates.js";

export interface SessionDeps {
  readonly broadcaster: Broadcaster;
  readonly sessions: Sessions;
  readonly rates: Rates;
  readonly limits: SessionLimits;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** What becomes of a frame before it is looked at. Each has the connection's state from then on. */
export type Entry =
  | { readonly kind: "admitted"; readonly state: ConnectionState }
  | { readonly kind: "limited"; readonly state: ConnectionState; readonly error: ChatError }
  | EvictedEntry;

/**
 * The connection has lost its slot. With a farewell the caller tells and closes it; without one another
 * process does.
 */
export interface EvictedEntry {
  readonly kind: "evicted";
  readonly state: ConnectionState;
  readonly farewell: Farewell | undefined;
}

/**
 * A connection does something. If it has no slot yet it is given one, and what it does is counted against the
 * limit of its kind. Evicted connections of the same user are told and closed on the way. `isNew` says that
 * the connection has just opened: it registers without being asked for first. While the session store is away
 * everything is admitted.
 */
export async function enter(
  connection: Connection,
  kind: RateKind | undefined,
  deps: SessionDeps,
  { isNew = false } = {},
): Promise<Entry> {
  const { userId, connectionId, state } = connection;
  const session = sessionOf(connection, deps.now());
  const rate = kind && rateOf(kind, deps.limits);
  const admission = isNew ? UNKNOWN : await deps.sessions.admit(session, rate);
  if (admission === undefined) {
    count.limitsOpen();
    return { kind: "admitted", state };
  }
  const { standing, order, toClose } =
    admission.standing === "unknown" ? await takeSlot(session, admission, deps) : admission;
  const own = toClose.find((one) => one.connectionId === connectionId);
  const others = toClose.filter((one) => one !== own);
  await closeEvicted(userId, others, deps);
  if (standing === "closing") return { kind: "evicted", state, farewell: undefined };
  if (standing === "evicted")
    return { kind: "evicted", state, farewell: own ?? { connectionId, reason: undefined, queue: "" } };
  const now = order === undefined || order === state.order ? state : withOrder(state, order);
  if (rate && admission.retryAfter > 0)
    return { kind: "limited", state: now, error: tooMany(rate, admission.retryAfter) };
  return { kind: "admitted", state: now };
}

const UNKNOWN: Admission = { standing: "unknown", retryAfter: 0, toClose: [] };

/** The connection as the session store knows it. */
function sessionOf({ userId, connectionId, state }: Connection, now: number): Session {
  const key = destinationKey({ kind: "userSession" }, userId);
  const queue = [...state.subscriptions].find(([, lane]) => keyOfLane(lane) === key)?.[0] ?? "";
  const { device, likeness, takesOver, order, connectedAt } = state;
  return { userId, connectionId, device, likeness, takesOver, order, age: now - (connectedAt ?? now), queue };
}

/**
 * The order says when the connection came. So the state needs that moment no more, nor what the connection
 * looked like and what its user wanted.
 */
function withOrder(
  { connectedAt: _, likeness: __, takesOver: ___, ...state }: ConnectionState,
  order: number,
): ConnectionState {
  return { ...state, order };
}

/**
 * Registers the connection. It is left without a slot where the session store has gone away since it was
 * asked.
 */
async function takeSlot(
  session: Session,
  before: Admission,
  deps: SessionDeps,
): Promise<Omit<Admission, "retryAfter">> {
  const registered = await deps.sessions.register(session, {
    limit: deps.limits.sessions,
    whichAreGone: (ids) => whichAreGone(ids, deps),
  });
  if (registered === undefined) {
    count.limitsOpen();
    return before;
  }
  if (registered.isNew) count.sessionOpened();
  for (let gone = registered.gone; gone > 0; gone -= 1) count.sessionEnded("gone");
  return { ...registered, toClose: [...before.toClose, ...registered.toClose] };
}

/**
 * The connections that the service does not know. One that it can't be asked about right now counts as being
 * there.
 */
async function whichAreGone(
  connectionIds: readonly string[],
  { broadcaster }: SessionDeps,
): Promise<readonly string[]> {
  const exist = await Promise.all(
    connectionIds.map((id) =>
      broadcaster.connectionExists(id).catch((error: unknown) => {
        log.warn("a session could not be asked for", { connectionId: id, error });
        return true;
      }),
    ),
  );
  return connectionIds.filter((_, index) => !exist[index]);
}
