import type { Broadcaster } from "../broadcast/broadcaster.js";
import { forgetUnused } from "../fanout/subscriptionIds.js";
import { count } from "../platform/metrics.js";
import type { NotedSubscription, Sessions } from "../redis/ports.js";
import type { Database } from "../store/database.js";
import type { Connection } from "./connection.js";

/** The connection is gone: its slot is free. Returns the subscriptions that were noted of it. Never throws. */
export async function freeSlot(
  { userId, connectionId }: Pick<Connection, "userId" | "connectionId">,
  { sessions }: { readonly sessions: Sessions },
): Promise<readonly NotedSubscription[]> {
  const removed = await sessions.remove(userId, connectionId);
  if (removed?.hadSlot) count.sessionEnded("disconnected");
  return removed?.subscriptions ?? [];
}

interface ForgetDeps {
  readonly broadcaster: Broadcaster;
  readonly database: Database;
}

/**
 * The connection is gone: frees its slot, and forgets those of its subscription ids that nobody else uses. A
 * SUBSCRIBE may have been under way at the connection's end, whose event brings the state from before that; so its
 * subscription is looked up among those that were noted. Never throws.
 */
export async function forgetConnection(
  connection: Connection,
  deps: ForgetDeps & { readonly sessions: Sessions },
): Promise<void> {
  const { state } = connection;
  const noted = await freeSlot(connection, deps);
  const isKnown = ({ lane, wire }: NotedSubscription): boolean => state.subscriptions.get(wire) === lane;
  await forgetSubscriptions(state.subscriptions, deps);
  for (const subscription of noted) if (!isKnown(subscription)) await forgetUnused([subscription], deps);
}

/** Forgets those of the subscriptions, lanes by their ids, that nobody uses any more. Never throws. */
export async function forgetSubscriptions(
  subscriptions: ReadonlyMap<string, string>,
  deps: ForgetDeps,
): Promise<void> {
  for (const [wire, lane] of subscriptions) await forgetUnused([{ lane, wire }], deps);
}
