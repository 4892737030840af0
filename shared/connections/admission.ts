import type { CommandDeps, Connection, Outcome } from "../commands/command.js";
import { keyOfLane } from "../fanout/groups.js";
import { destinationKey } from "../frames/destinations.js";
import { ChatError } from "../platform/errors.js";
import { log } from "../platform/log.js";
import { count } from "../platform/metrics.js";
import type { Admission, Rate, RateKind, Session } from "../redis/ports.js";
import { closeEnded, type Farewell, farewell } from "./closing.js";
import type { ConnectionState } from "./connectionState.js";

export type SessionDeps = Pick<CommandDeps, "broadcaster" | "sessions" | "rates" | "limits" | "now">;

/** What becomes of a frame before it is looked at. */
export type Entry =
  | { readonly kind: "admitted"; readonly state: ConnectionState }
  | { readonly kind: "limited"; readonly state: ConnectionState; readonly retryAfter: number }
  | Ended;

/** The connection has lost its place. With `told` it is to hear of it and to be closed now; without, somebody else is at that. */
interface Ended {
  readonly kind: "ended";
  readonly state: ConnectionState;
  readonly told: Farewell | undefined;
}

/** What a frame of an ended connection leads to: it is told and closed, unless somebody else is at that. */
export function endedOutcome({ state, told }: Ended, now: number): Outcome {
  if (!told) return { frames: [], state, ended: "by another" };
  return { frames: farewell(told, now), state, close: true, ended: told };
}

/** The connection as the session store knows it. */
function sessionOf({ userId, connectionId, state }: Connection, now: number): Session {
  const key = destinationKey({ kind: "userSession" }, userId);
  const queue = [...state.subscriptions].find(([, lane]) => keyOfLane(lane) === key)?.[0] ?? "";
  const { device, likeness, takesOver, order, connectedAt } = state;
  return { userId, connectionId, device, likeness, takesOver, order, age: now - (connectedAt ?? now), queue };
}

/**
 * A connection does something: it is given its place if it has none yet, and what it does is counted against its kind's limit. Others of its user that have lost their place are told and closed on the
 * way. `isNew` says that its state may be older than what it did since. With the session store away everything is admitted.
 */
export async function enter(
  connection: Connection,
  kind: RateKind | undefined,
  deps: SessionDeps,
  { isNew = false } = {},
): Promise<Entry> {
  const { userId, connectionId, state } = connection;
  const known = sessionOf(connection, deps.now());
  const session = isNew ? { ...known, queue: undefined } : known;
  const admission = await deps.sessions.admit(session, kind && rateOf(kind, deps));
  if (admission === undefined) {
    count.limitsOpen();
    return { kind: "admitted", state };
  }
  const { standing, order, toClose } =
    admission.standing === "unknown" ? await join(session, admission, deps) : admission;
  const own = toClose.find((one) => one.connectionId === connectionId);
  const others = toClose.filter((one) => one !== own);
  await closeEnded(userId, others, deps);
  const now = order === undefined || order === state.order ? state : withOrder(state, order);
  if (standing === "closing") return { kind: "ended", state, told: undefined };
  if (standing === "ended")
    return { kind: "ended", state, told: own ?? { connectionId, reason: "ENDED", queue: "" } };
  if (admission.retryAfter > 0) return { kind: "limited", state: now, retryAfter: admission.retryAfter };
  return { kind: "admitted", state: now };
}

/** Its order says when it came: the moment itself isn't needed any more, nor what it looked like and wanted. */
function withOrder(
  { connectedAt: _, likeness: __, takesOver: ___, ...state }: ConnectionState,
  order: number,
): ConnectionState {
  return { ...state, order };
}

/** Gives a connection its place, or leaves it without one where the store has gone away meanwhile. */
async function join(
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

/** Those whom the service does not know; who can't be asked for counts as being there. */
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

/** The limit of a kind, if there is one. */
function rateOf(kind: RateKind, { limits }: SessionDeps): Rate | undefined {
  return limits[kind] > 0 ? { kind, limit: limits[kind] } : undefined;
}

/** Counts a call of a user's that is no frame; throws `RATE_LIMIT_EXCEEDED`. */
export async function requireRate(userId: number, kind: RateKind, deps: SessionDeps): Promise<void> {
  const rate = rateOf(kind, deps);
  if (!rate) return;
  const retryAfter = await deps.rates.take(userId, rate);
  if (retryAfter === undefined) count.limitsOpen();
  else if (retryAfter > 0) throw tooMany(kind, retryAfter, deps);
}

const WHAT: Readonly<Record<RateKind, string>> = {
  messages: "messages",
  reads: "reads",
  subscribes: "subscriptions",
  negotiates: "negotiations and renewed tokens",
  writes: "changing calls",
  unsubscribes: "unsubscriptions",
  handshakes: "connections",
  lookups: "reading calls",
  heartBeats: "WebSocket messages without a frame",
  pieces: "pieces of frames",
};

/** The refusal of one more of a kind. */
export function tooMany(
  kind: RateKind,
  retryAfter: number,
  { limits }: Pick<SessionDeps, "limits">,
): ChatError {
  const text = `At most ${limits[kind]} ${WHAT[kind]} a minute; try again in ${retryAfter} s.`;
  return new ChatError("RATE_LIMIT_EXCEEDED", text, { retryAfter });
}

/** The connection is gone: its place is free. Never throws. */
export async function leaveSession(
  { userId, connectionId }: Pick<Connection, "userId" | "connectionId">,
  { sessions }: Pick<SessionDeps, "sessions">,
): Promise<void> {
  if (await sessions.remove(userId, connectionId)) count.sessionEnded("disconnected");
}
