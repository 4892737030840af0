import { recent } from "../platform/recent.js";
import type { UpstreamAnswer } from "./answer.js";
import type { Answer, ConnectionEvent, State, UpstreamHandlers } from "./events.js";
import { messageOf, type ReceivedRequest } from "./middleware.js";

/**
 * A client's message is by far the most frequent call, and the middleware makes a request, a response, a stream and
 * a dispatcher for each. So it is decoded here, by the same rules; all other calls are left to the middleware, and
 * so is what is not quite as the service sends it.
 */

const USER_EVENT = "azure.webpubsub.user.";
const BYTES = new Set(["application/octet-stream", "text/plain"]);

/** The handler's answer to a client's message; nothing for any other call. */
export function answerUserEvent(
  hub: string,
  request: ReceivedRequest,
  handlers: UpstreamHandlers,
): Promise<UpstreamAnswer> | undefined {
  const event = userEventOf(hub, request);
  return event && answered(event, request, handlers);
}

function userEventOf(hub: string, { method, headers }: ReceivedRequest): ConnectionEvent | undefined {
  const isOfHub = headers["ce-hub"]?.toUpperCase() === hub.toUpperCase();
  const isFromService =
    headers["ce-awpsversion"] !== undefined && headers["webhook-request-origin"] !== undefined;
  if (method !== "POST" || !isOfHub || !isFromService) return undefined;
  if (!headers["ce-type"]?.startsWith(USER_EVENT)) return undefined;
  if (!BYTES.has(headers["content-type"]?.split(";")[0]?.trim() ?? "")) return undefined;
  const connectionId = headers["ce-connectionid"];
  const state = stateOf(headers["ce-connectionstate"]);
  if (connectionId === undefined || !state) return undefined;
  return { connectionId, userId: headers["ce-userid"] ?? "", state };
}

/** A connection brings the same state with each message until a frame changes it. Each has up to 3,000 characters. */
const states = recent<State>(2_000);

/** The same object for the same text. */
function stateOf(encoded: string | undefined): State | undefined {
  if (encoded === undefined) return {};
  const known = states.get(encoded);
  if (known) return known;
  const state = parseState(encoded);
  if (state) states.set(encoded, state);
  return state;
}

/** JSON in base64. Nothing where it is something else. */
function parseState(encoded: string): State | undefined {
  try {
    const state: unknown = JSON.parse(Buffer.from(encoded, "base64").toString());
    return state !== null && typeof state === "object" && !Array.isArray(state)
      ? (state as State)
      : undefined;
  } catch {
    return undefined;
  }
}

async function answered(
  event: ConnectionEvent,
  request: ReceivedRequest,
  { message }: UpstreamHandlers,
): Promise<UpstreamAnswer> {
  return answerTo(event, await message(messageOf(event, request)));
}

/** Any status but 2xx drops the connection; one below 500 is not tried again. 204 says that there is nothing to send. */
function answerTo({ state: before }: ConnectionEvent, { text, state, drop }: Answer): UpstreamAnswer {
  if (drop) return { status: 409, headers: {}, body: "the connection has ended" };
  const headers = {
    "content-type": "text/plain; charset=utf-8",
    ...(state !== before && { "ce-connectionstate": Buffer.from(JSON.stringify(state)).toString("base64") }),
  };
  return text ? { status: 200, headers, body: text } : { status: 204, headers };
}
