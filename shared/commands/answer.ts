import type { Connection } from "../connections/connection.js";
import type { ConnectionState } from "../connections/connectionState.js";
import { forgetSubscriptions, freeSlot } from "../connections/gone.js";
import { isPacked } from "../fanout/groups.js";
import { log } from "../platform/log.js";
import type { Answer } from "../upstream/events.js";
import type { CommandDeps, Outcome } from "./command.js";

/** Answers that go one by one may take this long together. */
const ANSWER_MS = 5_000;

type Deps = Pick<CommandDeps, "broadcaster" | "database" | "sessions" | "now">;

/**
 * The answer for a message whose frames led to this outcome. `connection` is as it was before them. Once it
 * resolves the frames before the answer are with the client and, where that is the outcome, the connection is
 * closed. Never throws.
 */
export const answerOf = (
  outcome: Outcome,
  connection: Connection,
  deps: Deps,
): Promise<Answer<ConnectionState>> =>
  outcome.next === "close" ? closeWith(outcome, connection, deps) : answerWith(outcome, connection, deps);

/**
 * One frame a message, unless the client takes several: all but the last are sent by REST, before the answer.
 * They go together where the service can't be reached by REST, or the time for answering is over: then some
 * clients read all of them, which is better than none. A frame whose sending only seemed to fail may come
 * twice.
 */
async function answerWith(
  { frames, state }: Outcome,
  { connectionId }: Connection,
  { broadcaster, now }: Deps,
): Promise<Answer<ConnectionState>> {
  if (frames.length === 0) return { state };
  const deadline = now() + ANSWER_MS;
  const takesSeveral = [...state.subscriptions.values()].some(isPacked);
  let sent = 0;
  try {
    for (; !takesSeveral && sent < frames.length - 1 && now() <= deadline; sent += 1)
      await broadcaster.sendToConnection(connectionId, frames[sent]!);
  } catch (error) {
    const left = frames.length - sent;
    log.warn("several frames are answered in one message", { connectionId, frames: left, error });
  }
  return { text: frames.slice(sent).join(""), state };
}

/**
 * Closes the connection and forgets what this message has subscribed to: the event of the connection's end
 * brings the state from before it.
 */
async function closeWith(
  outcome: Outcome,
  connection: Connection,
  deps: Deps,
): Promise<Answer<ConnectionState>> {
  const answer = await close(outcome, connection, deps);
  await forgetSubscriptions(addedBy(outcome.state, connection.state), deps);
  // An answer with a text goes to a connection that may still be open.
  if (answer.text === undefined) await outcome.afterClose?.();
  return answer;
}

const addedBy = (state: ConnectionState, before: ConnectionState): ReadonlyMap<string, string> =>
  new Map([...state.subscriptions].filter(([wire]) => !before.subscriptions.has(wire)));

/**
 * Sends the frames, closes the connection, and only then answers: an answer and a close that are on their way
 * at once could change places. Where the service can't be reached by REST the frames go with the answer, so
 * that the client learns of them all the same.
 */
async function close(
  { frames, state }: Outcome,
  connection: Connection,
  deps: Deps,
): Promise<Answer<ConnectionState>> {
  const { connectionId } = connection;
  const { broadcaster } = deps;
  let sent = 0;
  try {
    for (; sent < frames.length; sent += 1) await broadcaster.sendToConnection(connectionId, frames[sent]!);
    await broadcaster.closeConnection(connectionId, "the conversation has ended");
    await freeSlot(connection, deps);
    return { state };
  } catch (error) {
    log.warn("a connection could not be closed", { connectionId, error });
    return sent === frames.length ? { state, drop: true } : { text: frames.slice(sent).join(""), state };
  }
}
