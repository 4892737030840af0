import { Readable } from "node:stream";
import { type UserEventRequest, WebPubSubEventHandler } from "@azure/web-pubsub-express";
import { type ErrorCode, toChatError } from "../platform/errors.js";
import { plain, type UpstreamAnswer } from "./answer.js";
import type {
  Accepted,
  Answer,
  ClientMessage,
  ConnectionEvent,
  Handshake,
  State,
  UpstreamHandlers,
} from "./events.js";

/**
 * The middleware compares paths. The trigger's route has done so before, so request and middleware both get
 * this one.
 */
const PATH = "/upstream/";

/** An upstream call whose body has come whole. */
export interface ReceivedRequest {
  readonly method: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** What the middleware uses of an express response. */
interface ResponseLike {
  statusCode: number;
  setHeader(name: string, value: string | readonly string[]): void;
  end(data?: string | Uint8Array): void;
}

type Run = (start: () => Promise<void>) => void;

/**
 * Has the middleware decode one call and answer it once the handler is done. Each call has a middleware of
 * its own: so the handler's promise can be awaited whichever way the middleware answers. Throws what the
 * handler throws.
 */
export function throughMiddleware(
  hub: string,
  request: ReceivedRequest,
  handlers: UpstreamHandlers,
): Promise<UpstreamAnswer> {
  return new Promise((resolve, reject) => {
    let finished: UpstreamAnswer | undefined;
    let work: Promise<void> | undefined;
    const run: Run = (start) => {
      // In an async function, so that a handler that throws before its first await fails the same way.
      work = (async () => start())();
      work.then(() => finished && resolve(finished), reject);
    };
    // The end of the response is not that of the call: the middleware ends non-blocking events before it
    // reads them, and starts their handler afterwards.
    const response = responseTo(request, (answer) => {
      finished = answer;
    });
    const handler = new WebPubSubEventHandler(hub, { path: PATH, ...adapt(request, handlers, run) });
    handler
      .getMiddleware()(
        express(request) as never,
        response as never,
        // The middleware hands on what it can't read, too; a handler's failure comes by its own promise.
        ((error: unknown) =>
          resolve(plain(400, error ? "the event can't be read" : "not an event of this hub"))) as never,
      )
      // Without a handler's promise (OPTIONS, say) the middleware's own end is the end.
      .then(() => !work && finished && resolve(finished), reject);
  });
}

/** What the middleware uses of an express request: a readable stream with a path, a method and headers. */
function express(request: ReceivedRequest): Readable {
  const stream = Readable.from(request.body.length > 0 ? [Buffer.from(request.body)] : []);
  return Object.assign(stream, { method: request.method, baseUrl: "", path: PATH, headers: request.headers });
}

/** A response that hands over what the middleware has answered. */
function responseTo({ method }: ReceivedRequest, onEnd: (answer: UpstreamAnswer) => void): ResponseLike {
  const headers: Record<string, string> = {};
  return {
    statusCode: 200,
    setHeader(name, value) {
      headers[name.toLowerCase()] = typeof value === "string" ? value : value.join(", ");
    },
    end(data) {
      const isEmpty = data === undefined || data.length === 0;
      // 204 says that there is nothing to send; an empty 200 could be taken for an empty frame.
      const status = isEmpty && this.statusCode === 200 && method === "POST" ? 204 : this.statusCode;
      onEnd({ status, headers, ...(isEmpty ? {} : { body: data }) });
    },
  };
}

/** The statuses of a refused handshake, 400 for any other; the service hands them on to the client. */
const HANDSHAKE_STATUSES: Readonly<Partial<Record<ErrorCode, number>>> = {
  UNAUTHORIZED: 401,
  TOKEN_EXPIRED: 401,
  FORBIDDEN: 403,
  RATE_LIMIT_EXCEEDED: 429,
};

type HandlerOptions = NonNullable<ConstructorParameters<typeof WebPubSubEventHandler>[1]>;
type ConnectHandler = NonNullable<HandlerOptions["handleConnect"]>;
type ConnectRequest = Parameters<ConnectHandler>[0];
type ConnectResponse = Parameters<ConnectHandler>[1];
type UserEventResponse = Parameters<NonNullable<HandlerOptions["handleUserEvent"]>>[1];

/** Our handlers as the middleware calls them. */
function adapt(request: ReceivedRequest, handlers: UpstreamHandlers, run: Run): HandlerOptions {
  return {
    handleConnect: (connect, response) =>
      run(() =>
        handlers.connect(handshakeOf(connect)).then(
          (accepted) => accept(accepted, response),
          (thrown: unknown) => refuse(thrown, response),
        ),
      ),
    handleUserEvent: (user, response) =>
      run(async () => {
        const answer = await handlers.message(messageOf(eventOf(user.context), request));
        reply(answer, user, response);
      }),
    onConnected: (connected) => run(() => handlers.connected(eventOf(connected.context))),
    onDisconnected: (disconnected) => run(() => handlers.disconnected(eventOf(disconnected.context))),
  };
}

const eventOf = (context: {
  readonly connectionId: string;
  readonly userId?: string;
  readonly states: State;
}): ConnectionEvent => ({
  connectionId: context.connectionId,
  userId: context.userId ?? "",
  state: context.states,
});

/** What a client has sent, and on which connection, by the call that tells of it. */
export const messageOf = (
  { connectionId, userId, state }: ConnectionEvent,
  { headers, body }: ReceivedRequest,
): ConnectionEvent & ClientMessage => ({
  connectionId,
  userId,
  state,
  eventId: headers["ce-id"] ?? "",
  data: body,
  ...(headers["traceparent"] ? { traceparent: headers["traceparent"] } : {}),
});

const handshakeOf = ({ context, headers, queries, subprotocols }: ConnectRequest): Handshake => ({
  connectionId: context.connectionId,
  headers: lowerCased(headers ?? {}),
  query: queries ?? {},
  subprotocols: subprotocols ?? [],
});

const lowerCased = (headers: Readonly<Record<string, string[]>>): Record<string, readonly string[]> =>
  Object.fromEntries(Object.entries(headers).map(([name, values]) => [name.toLowerCase(), values]));

function accept({ userId, subprotocol, state }: Accepted, response: ConnectResponse): void {
  for (const [name, value] of Object.entries(state)) response.setState(name, value);
  response.success(subprotocol === undefined ? { userId } : { userId, subprotocol });
}

/** Throws `UNAVAILABLE`: the service itself refuses a handshake whose event fails. */
function refuse(thrown: unknown, response: ConnectResponse): void {
  const error = toChatError(thrown);
  if (error.code === "UNAVAILABLE") throw error;
  // Its types know 400, 401 and 500 only; it answers whatever status it is given.
  const status = HANDSHAKE_STATUSES[error.code] ?? 400;
  response.fail(status as never, `${error.code}: ${error.message}`);
}

function reply(
  { text, state, drop }: Answer,
  { context }: UserEventRequest,
  response: UserEventResponse,
): void {
  // Any status but 2xx drops the connection; one below 500 is not tried again.
  if (drop) response.fail(409 as never, "the connection has ended");
  else {
    if (state !== context.states) replaceState(context.states, state, response);
    response.success(text, "text");
  }
}

/** A member that is there no more is set to undefined, and so vanishes. */
function replaceState(before: State, state: State, response: UserEventResponse): void {
  for (const name of new Set([...Object.keys(before), ...Object.keys(state)]))
    response.setState(name, state[name]);
}
