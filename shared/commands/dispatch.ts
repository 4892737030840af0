import { endedOutcome, enter, leaveSession, tooMany } from "../connections/admission.js";
import { type Farewell, settled } from "../connections/closing.js";
import type { ConnectionState } from "../connections/connectionState.js";
import { isPacked } from "../fanout/groups.js";
import { SEND_MESSAGE, SEND_READ, SEND_TOKEN } from "../frames/destinations.js";
import { errorFrame, refuse } from "../frames/error.js";
import { about, ChatError, toChatError } from "../platform/errors.js";
import { log, logUnavailable } from "../platform/log.js";
import { count } from "../platform/metrics.js";
import type { RateKind } from "../redis/ports.js";
import { type Frame, StompError } from "../stomp/frame.js";
import type { Beginning } from "../stomp/parser.js";
import { serializeFrame } from "../stomp/serializer.js";
import type { Command, CommandDeps, Connection, Outcome, Received } from "./command.js";
import { connect } from "./connect.js";
import { recognizable } from "./payload.js";
import { gather, keep } from "./pieces.js";
import { read } from "./read.js";
import { renewToken } from "./renewToken.js";
import { send } from "./send.js";
import { subscribe } from "./subscribe.js";
import { forgetSubscriptions, unsubscribe } from "./unsubscribe.js";

/** One WebSocket message of a client. */
export interface ClientMessage {
  readonly data: Uint8Array;
  /** The same when the socket service repeats the event. */
  readonly eventId: string;
  readonly traceparent?: string;
}

export interface Answer {
  /** One WebSocket message with every frame of the answer, or nothing. */
  readonly text?: string;
  readonly state: ConnectionState;
  /** The connection has had its ERROR but could not be closed: the socket service must drop it. */
  readonly drop?: true;
}

/** The socket service waits for an answer, and repeats the event if it waits too long; what has not been begun by then is refused. */
const MESSAGE_MS = 12_000;
/** So long may its answers take that go one by one. */
const ANSWER_MS = 5_000;

/**
 * Handles the frames of one WebSocket message one after the other and answers them together. Never throws: whatever goes
 * wrong becomes an error for this client. After an ERROR the connection is closed, and what stood behind it is not looked at.
 */
export async function handleMessage(
  message: ClientMessage,
  connection: Connection,
  deps: CommandDeps,
): Promise<Answer> {
  const {
    frames,
    malformed,
    beginning,
    skipFirst,
    state: before,
  } = await gather(message.data, connection, deps);
  if (frames.length === 0 && !malformed)
    return handleNoFrame(beginning, skipFirst, { ...connection, state: before }, deps);
  const texts: string[] = [];
  const deadline = deps.now() + MESSAGE_MS;
  let state = before;
  let skip = skipFirst;
  for (const [index, frame] of frames.entries()) {
    const received = receivedOf(frame, message, index, connection);
    const now = { ...connection, state };
    const outcome: Outcome = skip ? skipped(received, now) : await handleFrame(received, now, deps);
    texts.push(...outcome.frames);
    state = outcome.state;
    if (outcome.ended === "by another") return answerWith(texts, connection, state, deps);
    if (outcome.close) return closeAndSettle(outcome.ended, texts, connection, state, deps);
    // Behind a message that was not taken none is: the client sends them again, in their order.
    skip ||= outcome.unavailable === true || deps.now() > deadline;
  }
  if (malformed) return failWith(malformed, texts, connection, state, deps);
  if (!beginning) return answerWith(texts, connection, state, deps);
  try {
    return answerWith(texts, connection, await keep(beginning, { ...connection, state }, skip, deps), deps);
  } catch (error) {
    return failWith(toChatError(error), texts, connection, state, deps);
  }
}

/** A message without a whole frame: a client's heart-beat, or a piece of a frame. Either costs a call, and so is counted. */
async function handleNoFrame(
  beginning: Beginning | undefined,
  skipped: boolean,
  connection: Connection,
  deps: CommandDeps,
): Promise<Answer> {
  const kind = beginning ? "pieces" : "heartBeats";
  let { state } = connection;
  try {
    const entry = await enter(connection, kind, deps);
    state = entry.state;
    if (entry.kind === "ended") {
      const { frames, ended } = endedOutcome(entry, deps.now());
      if (ended === "by another") return { state };
      return closeAndSettle(ended, frames, connection, state, deps);
    }
    if (entry.kind === "limited") throw tooMany(kind, entry.retryAfter, deps);
    return { state: beginning ? await keep(beginning, { ...connection, state }, skipped, deps) : state };
  } catch (error) {
    return failWith(toChatError(error), [], connection, state, deps);
  }
}

/** Ends the conversation with an ERROR for what is no frame, or not all of one. */
function failWith(
  error: ChatError,
  texts: readonly string[],
  connection: Connection,
  state: ConnectionState,
  deps: CommandDeps,
): Promise<Answer> {
  count.refused(error.code, "stomp");
  if (error.code === "UNAVAILABLE") logUnavailable("a piece of a frame", error);
  const receipt = error instanceof StompError ? error.receipt : undefined;
  const failed = errorFrame(error, receipt, state.version ?? "1.2");
  return closeAfter([...texts, failed], connection, state, deps);
}

/**
 * One frame a message, unless the client takes several: then all but the last go before the answer, by REST. Where the service can't be reached by that, or the message's
 * time is over, they go together: better read by some than by none. One whose sending seemed to fail may come twice.
 */
async function answerWith(
  texts: readonly string[],
  { connectionId }: Connection,
  state: ConnectionState,
  { broadcaster, now }: CommandDeps,
): Promise<Answer> {
  if (texts.length === 0) return { state };
  const deadline = now() + ANSWER_MS;
  let sent = 0;
  try {
    if (![...state.subscriptions.values()].some(isPacked))
      for (; sent < texts.length - 1 && now() <= deadline; sent += 1)
        await broadcaster.sendToConnection(connectionId, texts[sent]!);
  } catch (error) {
    log.warn("several frames are answered in one message", {
      connectionId,
      frames: texts.length - sent,
      error,
    });
  }
  return { text: texts.slice(sent).join(""), state };
}

/** A frame behind one that was `UNAVAILABLE`, or that its message's time did not suffice for. */
function skipped(received: Received, connection: Connection): Outcome {
  const text = "A frame before this one could not be handled; send this one again, too.";
  return refuse(new ChatError("UNAVAILABLE", text, recognizable(received.frame.body)), received, connection);
}

const receivedOf = (
  frame: Frame,
  message: ClientMessage,
  index: number,
  connection: Connection,
): Received => ({
  frame,
  eventId: `${connection.connectionId} ${message.eventId} ${index}`,
  ...(message.traceparent === undefined ? {} : { traceparent: message.traceparent }),
});

async function handleFrame(received: Received, connection: Connection, deps: CommandDeps): Promise<Outcome> {
  const { frame } = received;
  let current = connection;
  try {
    requireToken(connection, deps);
    const kind = rateKindOf(frame);
    const entry = await enter(connection, kind, deps);
    current = { ...connection, state: entry.state };
    if (entry.kind === "ended") return endedOutcome(entry, deps.now());
    if (entry.kind === "limited")
      throw about(tooMany(kind!, entry.retryAfter, deps), recognizable(frame.body));
    const outcome = await run(received, current, deps);
    return outcome.ended ? outcome : withReceipt(outcome, frame);
  } catch (thrown) {
    const error = toChatError(thrown);
    count.refused(error.code, "stomp");
    if (error.code === "UNAVAILABLE") logUnavailable(frame.command, error);
    return refuse(error, received, current);
  }
}

function withReceipt(outcome: Outcome, frame: Frame): Outcome {
  const receipt = frame.headers.wire("receipt");
  if (receipt === undefined) return outcome;
  const version = outcome.state.version ?? "1.2";
  const answer = serializeFrame("RECEIPT", {}, "", version, { "receipt-id": receipt });
  return { ...outcome, frames: [...outcome.frames, answer] };
}

function requireToken({ state }: Connection, { now }: CommandDeps): void {
  if (now() >= state.expiresAt * 1_000)
    throw new ChatError("TOKEN_EXPIRED", "The token has expired; connect again with a new one.");
}

const RATE_KINDS: Readonly<Record<string, RateKind>> = {
  [SEND_MESSAGE]: "messages",
  [SEND_READ]: "reads",
  [SEND_TOKEN]: "negotiates",
};

/** The limit that a frame counts against. */
function rateKindOf({ command, headers }: Frame): RateKind | undefined {
  if (command === "SUBSCRIBE") return "subscribes";
  if (command === "UNSUBSCRIBE") return "unsubscribes";
  const destination = headers.get("destination") ?? "";
  return command === "SEND" && Object.hasOwn(RATE_KINDS, destination) ? RATE_KINDS[destination] : undefined;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  CONNECT: connect,
  STOMP: connect,
  SUBSCRIBE: subscribe,
  UNSUBSCRIBE: unsubscribe,
  DISCONNECT: async (_received, { state }) => ({ frames: [], state, close: true }),
};

const SENDS: Readonly<Record<string, Command>> = {
  [SEND_MESSAGE]: send,
  [SEND_READ]: read,
  [SEND_TOKEN]: renewToken,
};

const UNSUPPORTED = new Set(["ACK", "NACK", "BEGIN", "COMMIT", "ABORT"]);

async function run(received: Received, connection: Connection, deps: CommandDeps): Promise<Outcome> {
  const { frame } = received;
  if (connection.state.version === undefined && frame.command !== "CONNECT" && frame.command !== "STOMP")
    throw new ChatError("MALFORMED_FRAME", "The first frame must be CONNECT or STOMP.");
  if (UNSUPPORTED.has(frame.command))
    throw new ChatError("NOT_SUPPORTED", `${frame.command} is not supported here.`);
  if (frame.headers.get("transaction") !== undefined)
    throw new ChatError("NOT_SUPPORTED", "Transactions are not supported here.");
  const command = frame.command === "SEND" ? sendTo(frame) : COMMANDS[frame.command];
  if (!command) throw new ChatError("MALFORMED_FRAME", `There is no client command ${frame.command}.`);
  return command(received, connection, deps);
}

function sendTo(frame: Frame): Command {
  const destination = frame.headers.get("destination");
  if (!destination) throw new ChatError("MALFORMED_FRAME", "SEND needs a destination header.");
  const command = Object.hasOwn(SENDS, destination) ? SENDS[destination] : undefined;
  if (!command)
    throw new ChatError("UNKNOWN_DESTINATION", `Nothing can be sent to ${destination.slice(0, 100)}`);
  return command;
}

/** `closeAfter`; where the session had ended, it is then settled. With text in the answer it could not be closed: the sweep will. */
async function closeAndSettle(
  ended: Farewell | undefined,
  texts: readonly string[],
  connection: Connection,
  state: ConnectionState,
  deps: CommandDeps,
): Promise<Answer> {
  const answer = await closeAfter(texts, connection, state, deps);
  if (ended && answer.text === undefined) await settled(connection.userId, ended, deps);
  return answer;
}

/**
 * Sends the frames, closes, and only then answers: the answer and a close on their way at once could change places. Where the service can't be
 * reached by REST the frames go with the answer, so that the client learns of them all the same.
 */
async function closeAfter(
  texts: readonly string[],
  connection: Connection,
  state: ConnectionState,
  deps: CommandDeps,
): Promise<Answer> {
  const { connectionId, state: before } = connection;
  const { broadcaster } = deps;
  let left = texts;
  try {
    for (; left.length > 0; left = left.slice(1)) await broadcaster.sendToConnection(connectionId, left[0]!);
    await broadcaster.closeConnection(connectionId, "the conversation has ended");
    await leaveSession(connection, deps);
    return { state };
  } catch (error) {
    log.warn("a connection could not be closed", { connectionId, error });
    return left.length === 0 ? { state, drop: true } : { text: left.join(""), state };
  } finally {
    await forgetSubscriptions(added(state, before), deps);
  }
}

/** The subscriptions that this message has made; the event of the connection's end still bears the state from before. */
const added = (state: ConnectionState, before: ConnectionState): ReadonlyMap<string, string> =>
  new Map([...state.subscriptions].filter(([wire]) => !before.subscriptions.has(wire)));
