import { versionOf } from "../connections/connectionState.js";
import { groupName, keyOfLane } from "../fanout/groups.js";
import { forgetUnused } from "../fanout/subscriptionIds.js";
import type { Command } from "./command.js";
import { subscriptionWire } from "./subscriptionHeaders.js";

/** UNSUBSCRIBE by id; an id that is not subscribed changes nothing. */
export const unsubscribe: Command = async ({ frame }, { connectionId, userId, state }, deps) => {
  const wire = subscriptionWire(frame, versionOf(state));
  const lane = state.subscriptions.get(wire);
  if (lane === undefined) return { frames: [], state };
  await deps.broadcaster.leaveGroup(connectionId, groupName(lane, wire));
  await deps.subscriptions.leaveId(userId, connectionId, keyOfLane(lane), wire);
  await forgetUnused([{ lane, wire }], deps);
  const subscriptions = new Map(state.subscriptions);
  subscriptions.delete(wire);
  return { frames: [], state: { ...state, subscriptions } };
};
