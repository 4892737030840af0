import type { Span } from "@opentelemetry/api";
import { enter } from "../connections/admission.js";
import type { Connection } from "../connections/connection.js";
import { versionOf } from "../connections/connectionState.js";
import { about, ChatError, toChatError } from "../platform/errors.js";
import { fail, inSpan, SpanKind, traceparentOf } from "../platform/trace.js";
import type { Frame } from "../stomp/frame.js";
import { serializeFrame } from "../stomp/serializer.js";
import type { CommandDeps, Outcome, Received } from "./command.js";
import { evictedOutcome } from "./evicted.js";
import { lookAhead } from "./lookAhead.js";
import { recognizable } from "./payload.js";
import { refuse, reportRefusal } from "./refuse.js";
import { commandOf, nameOf, rateKindOf } from "./table.js";

/**
 * Handles one frame: checks the token, has the session store admit the frame, runs its command, and adds the
 * RECEIPT. Never throws: whatever is thrown becomes a refusal.
 */
export const handleFrame = (
  received: Received,
  connection: Connection,
  deps: CommandDeps,
): Promise<Outcome> =>
  inSpan(
    () => ({
      name: nameOf(received.frame),
      kind: SpanKind.SERVER,
      attributes: { "user.id": String(connection.userId), "chat.connection.id": connection.connectionId },
      parent: received.traceparent,
    }),
    (span) =>
      handle(span ? { ...received, traceparent: traceparentOf(span) } : received, connection, deps, span),
  );

async function handle(
  received: Received,
  connection: Connection,
  deps: CommandDeps,
  span: Span | undefined,
): Promise<Outcome> {
  const { frame } = received;
  let current = connection;
  try {
    requireToken(connection, deps);
    const entering = enter(connection, rateKindOf(frame), deps);
    const members = lookAhead(frame, connection.userId, deps.members);
    const entry = await entering;
    current = { ...connection, state: entry.state };
    if (entry.kind === "evicted") return evictedOutcome(entry, connection, deps);
    if (entry.kind === "limited") throw about(entry.error, recognizable(frame.body));
    const command = commandOf(frame, current.state.version !== undefined);
    return withReceipt(await command(received, current, { ...deps, members }), frame);
  } catch (thrown) {
    const error = toChatError(thrown);
    fail(span, error);
    reportRefusal(error, frame.command);
    return refuse(error, received, current);
  }
}

function requireToken({ state }: Connection, { now }: CommandDeps): void {
  if (now() >= state.expiresAt * 1_000)
    throw new ChatError("TOKEN_EXPIRED", "The token has expired; connect again with a new one.");
}

function withReceipt(outcome: Outcome, frame: Frame): Outcome {
  const receipt = frame.headers.wire("receipt");
  if (receipt === undefined || outcome.evicted) return outcome;
  const answer = serializeFrame("RECEIPT", {}, "", versionOf(outcome.state), { "receipt-id": receipt });
  return { ...outcome, frames: [...outcome.frames, answer] };
}

/** Refuses a frame behind one that something away has refused, or one that came to its turn too late. */
export function skipFrame(received: Received, connection: Connection): Outcome {
  const text = "A frame before this one could not be handled; send this one again, too.";
  return refuse(new ChatError("UNAVAILABLE", text, recognizable(received.frame.body)), received, connection);
}
