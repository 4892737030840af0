import { ChatError } from "../errors.js";
import { log } from "../log.js";
import { count } from "../metrics.js";
import { destinationKey } from "../routing.js";
import type { EndedSession, Rate, RateKind, Registered, Session } from "../sessions/sessionStore.js";
import type { CommandDeps, Connection, Outcome } from "./connection.js";
import type { ConnectionState } from "./connectionState.js";
import { closeEnded, farewell } from "./endedSessions.js";

export type SessionDeps = Pick<CommandDeps, "broadcaster" | "sessions" | "limits" | "now">;

/** What becomes of a frame before it is looked at. */
export type Entry =
  | { readonly kind: "admitted"; readonly state: ConnectionState }
  | { readonly kind: "limited"; readonly state: ConnectionState; readonly retryAfter: number }
  /** The connection has lost its place. With `told` it is to hear of it and to be closed now; without, somebody else is at that. */
  | { readonly kind: "ended"; readonly state: ConnectionState; readonly told: EndedSession | undefined };

type Ended = Extract<Entry, { kind: "ended" }>;

/** What a frame of an ended connection leads to: it is told and closed, unless somebody else is at that. */
export function endedOutcome({ state, told }: Ended, now: number): Outcome {
  if (!told) return { frames: [], state, ended: "by another" };
  return { frames: farewell(told, now), state, close: true, ended: told };
}

/** The connection as the session store knows it. */
export function sessionOf({ userId, connectionId, state }: Connection): Session {
  const key = destinationKey({ kind: "userSession" }, userId);
  const queue = [...state.subscriptions].find(([, one]) => one === key)?.[0] ?? "";
  return { userId, connectionId, device: state.device, order: state.order, queue };
}

/**
 * A frame comes in: has it counted against its kind's limit, takes the connection in where it isn't counted yet, and closes others of its user that have lost their place.
 * With the session store away every frame is admitted.
 */
export async function enter(
  connection: Connection,
  kind: RateKind | undefined,
  deps: SessionDeps,
  session = sessionOf(connection),
): Promise<Entry> {
  const { userId, state } = connection;
  const admission = await deps.sessions.admit(session, kind && rateOf(kind, deps));
  if (admission === undefined) {
    count.limitsOpen();
    return { kind: "admitted", state };
  }
  const { standing, order, toClose }: Joined =
    admission.standing === "unknown" ? await joinAgain(session, admission.toClose, deps) : admission;
  const own = toClose.find(({ connectionId }) => connectionId === connection.connectionId);
  await closeEnded(
    userId,
    toClose.filter((one) => one !== own),
    deps,
  );
  const now = order === undefined ? state : { ...state, order };
  if (standing === "ended") return { kind: "ended", state: now, told: own };
  if (admission.retryAfter > 0) return { kind: "limited", state: now, retryAfter: admission.retryAfter };
  return { kind: "admitted", state: now };
}

interface Joined {
  readonly standing: "live" | "unknown" | "ended";
  readonly toClose: readonly EndedSession[];
  readonly order?: number;
}

/** Takes in a connection that came while the store was away. */
async function joinAgain(
  session: Session,
  before: readonly EndedSession[],
  deps: SessionDeps,
): Promise<Joined> {
  const registered = await register(session, true, deps);
  if (!registered) return { standing: "unknown", toClose: before };
  return { ...registered, toClose: [...before, ...registered.toClose] };
}

/** Gives a connection its place; whoever loses theirs is in the answer. `undefined` when the store is away. */
export async function register(
  session: Session,
  isOpen: boolean,
  deps: SessionDeps,
): Promise<Registered | undefined> {
  const registered = await deps.sessions.register(session, {
    limit: deps.limits.sessions,
    isOpen,
    whichAreGone: (ids) => whichAreGone(ids, deps),
  });
  if (registered === undefined) count.limitsOpen();
  else if (registered.standing === "live") count.sessionOpened();
  for (let gone = registered?.gone ?? 0; gone > 0; gone -= 1) count.sessionEnded("gone");
  return registered;
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
  const retryAfter = await deps.sessions.take(userId, rate);
  if (retryAfter === undefined) count.limitsOpen();
  else if (retryAfter > 0) throw tooMany(kind, retryAfter, deps);
}

const WHAT: Readonly<Record<RateKind, string>> = {
  messages: "messages",
  reads: "reads",
  subscribes: "subscriptions",
  negotiates: "negotiations and renewed tokens",
  writes: "changing calls",
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
