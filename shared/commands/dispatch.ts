import { hash } from "node:crypto";
import { enter } from "../connections/admission.js";
import type { Connection } from "../connections/connection.js";
import type { ConnectionState } from "../connections/connectionState.js";
import type { Frame } from "../stomp/frame.js";
import type { Answer, ClientMessage } from "../upstream/events.js";
import { answerOf } from "./answer.js";
import type { CommandDeps, Outcome, Received } from "./command.js";
import { evictedOutcome } from "./evicted.js";
import { handleFrame, skipFrame } from "./handleFrame.js";
import { type Gathered, gather, keep } from "./pieces.js";
import { endWithError } from "./refuse.js";

/**
 * The socket service waits for an answer, and repeats the event if it waits too long. What has not been begun
 * by then is refused.
 */
const MESSAGE_MS = 12_000;

/**
 * Handles the frames of one WebSocket message one after the other and answers them together. Never throws:
 * whatever goes wrong becomes an error for this client. After an ERROR the connection is closed, and nothing
 * behind it is looked at.
 */
export async function handleMessage(
  message: ClientMessage,
  connection: Connection,
  deps: CommandDeps,
): Promise<Answer<ConnectionState>> {
  const gathered = await gather(message.data, connection, deps);
  const begun = await handleBegun(gathered, message, connection, deps);
  return answerOf(await keepRest(begun, gathered, connection, deps), connection, deps);
}

/** Handles all but the piece of a frame at the message's end. */
function handleBegun(
  gathered: Gathered,
  message: ClientMessage,
  connection: Connection,
  deps: CommandDeps,
): Promise<Outcome> {
  const now = { ...connection, state: gathered.state };
  const isEmpty = gathered.frames.length === 0 && !gathered.malformed;
  return isEmpty ? countEmpty(gathered, now, deps) : handleFrames(gathered, message, now, deps);
}

/**
 * The whole frames, one after the other. Their outcomes are one: all frames for the client, and the last
 * state.
 */
async function handleFrames(
  { frames, skipFirst }: Gathered,
  message: ClientMessage,
  connection: Connection,
  deps: CommandDeps,
): Promise<Outcome> {
  const deadline = deps.now() + MESSAGE_MS;
  const answers: string[] = [];
  let { state } = connection;
  let skips = skipFirst;
  for (const [index, frame] of frames.entries()) {
    const received = receivedOf(frame, message, index, connection);
    const now = { ...connection, state };
    const outcome: Outcome = skips ? skipFrame(received, now) : await handleFrame(received, now, deps);
    answers.push(...outcome.frames);
    state = outcome.state;
    if (outcome.next === "close" || outcome.next === "stop") return { ...outcome, frames: answers };
    // No frame is taken behind one that was not: the client sends them again, in their order.
    skips ||= outcome.next === "skip" || deps.now() > deadline;
  }
  return skips ? { frames: answers, state, next: "skip" } : { frames: answers, state };
}

const receivedOf = (
  frame: Frame,
  { eventId, traceparent }: ClientMessage,
  index: number,
  { connectionId }: Connection,
): Received => ({
  frame,
  eventId: hash("sha256", `${connectionId} ${eventId} ${index}`, "base64url"),
  ...(traceparent === undefined ? {} : { traceparent }),
});

/**
 * A message without a whole frame: a client's heart-beat, or a piece of a frame. Either costs an upstream
 * call, and so is counted.
 */
async function countEmpty(
  { beginning, skipFirst, state }: Gathered,
  connection: Connection,
  deps: CommandDeps,
): Promise<Outcome> {
  try {
    const entry = await enter(connection, beginning ? "pieces" : "heartBeats", deps);
    if (entry.kind === "evicted") return evictedOutcome(entry, connection, deps);
    if (entry.kind === "limited") return endWithError(entry.error, entry.state);
    const outcome = { frames: [], state: entry.state };
    return skipFirst ? { ...outcome, next: "skip" } : outcome;
  } catch (error) {
    return endWithError(error, state);
  }
}

/**
 * Keeps the piece of a frame at the message's end until its rest comes; ends the conversation where nothing
 * can follow the frames.
 */
async function keepRest(
  begun: Outcome,
  { malformed, beginning }: Gathered,
  connection: Connection,
  deps: CommandDeps,
): Promise<Outcome> {
  const { frames, state, next } = begun;
  if (next === "close" || next === "stop") return begun;
  try {
    if (malformed) throw malformed;
    if (!beginning) return begun;
    return { frames, state: await keep(beginning, { ...connection, state }, next === "skip", deps) };
  } catch (error) {
    const ended = endWithError(error, state);
    return { ...ended, frames: [...frames, ...ended.frames] };
  }
}
