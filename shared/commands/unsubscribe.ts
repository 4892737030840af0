import { groupName, keyOfLane } from "../fanout/groups.js";
import { forgetUnused } from "../fanout/subscriptionIds.js";
import type { Command, CommandDeps, Connection } from "./command.js";
import { subscriptionWire } from "./subscribe.js";

/** UNSUBSCRIBE by id; an id that is not subscribed changes nothing. */
export const unsubscribe: Command = async ({ frame }, connection, deps) => {
  const wire = subscriptionWire(frame, connection.state.version ?? "1.2");
  const lane = connection.state.subscriptions.get(wire);
  if (lane === undefined) return { frames: [], state: connection.state };
  await deps.broadcaster.leaveGroup(connection.connectionId, groupName(lane, wire));
  await deps.subscriptions.leaveId(connection.userId, connection.connectionId, keyOfLane(lane), wire);
  await forgetUnused([{ lane, wire }], deps);
  const subscriptions = new Map(connection.state.subscriptions);
  subscriptions.delete(wire);
  return { frames: [], state: { ...connection.state, subscriptions } };
};

/**
 * A connection has gone: forgets those of its subscription ids that nobody else uses, those of a SUBSCRIBE that was under way meanwhile with them: the event of the end bears
 * the state from before it. Never throws.
 */
export async function forgetConnection(
  { userId, connectionId, state }: Connection,
  deps: Pick<CommandDeps, "broadcaster" | "database" | "subscriptions">,
): Promise<void> {
  const noted = await deps.subscriptions.notedSubscriptions(userId, connectionId);
  const unheard = noted.filter(({ lane, wire }) => state.subscriptions.get(wire) !== lane);
  await forgetSubscriptions(state.subscriptions, deps);
  for (const subscription of unheard) await forgetUnused([subscription], deps);
}

/** Forgets those of the subscriptions, lanes by their ids, that nobody uses any more. Never throws. */
export async function forgetSubscriptions(
  subscriptions: ReadonlyMap<string, string>,
  deps: Pick<CommandDeps, "broadcaster" | "database">,
): Promise<void> {
  for (const [wire, lane] of subscriptions) await forgetUnused([{ lane, wire }], deps);
}
