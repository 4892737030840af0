import { Readable } from "node:stream";
import { type UserEventRequest, WebPubSubEventHandler } from "@azure/web-pubsub-express";
import { ChatError, type ErrorCode, toChatError, toProblem } from "../platform/errors.js";
import { type CallerProof, createProver } from "./callerProof.js";

/**
 * The service's upstream calls (CloudEvents 1.0 over HTTP, binary mode): checks that they are the service's, has
 * `@azure/web-pubsub-express` decode and answer them, and holds the answer until the handler is done. The middleware
 * alone takes any caller's, answers `connected` and `disconnected` before their handlers run, and lets a rejection go unhandled.
 */

export interface UpstreamRequest {
  readonly method: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Or why it can't be taken. */
  readonly body: Uint8Array | ChatError;
}

export interface UpstreamAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** The connection's state as the service gives it back: the members of a JSON object. */
export type State = Readonly<Record<string, unknown>>;

export interface Handshake {
  readonly connectionId: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly query: Readonly<Record<string, readonly string[]>>;
  readonly subprotocols: readonly string[];
}

export interface Accepted {
  readonly userId: string;
  /** One of those that were offered, if any were. */
  readonly subprotocol: string | undefined;
  readonly state: State;
}

export interface ConnectionEvent {
  readonly connectionId: string;
  readonly userId: string;
  readonly state: State;
}

export interface ClientData extends ConnectionEvent {
  /** The same when the service repeats the event; rises within a connection. */
  readonly eventId: string;
  /** The bytes of one WebSocket message. */
  readonly data: Uint8Array;
  readonly traceparent?: string;
}

export interface Reply {
  /** One WebSocket message, or nothing. */
  readonly text?: string;
  readonly state: State;
  /** The service is to drop the connection. */
  readonly drop?: boolean;
}

export interface UpstreamHandlers {
  /** Throws a `ChatError` to refuse the handshake with its status. */
  connect(handshake: Handshake): Promise<Accepted>;
  connected(event: ConnectionEvent): Promise<void>;
  disconnected(event: ConnectionEvent): Promise<void>;
  message(event: ClientData): Promise<Reply>;
}

/** The middleware compares paths; the trigger's route has already done so, so both sides get this one. */
const PATH = "/upstream/";

/**
 * Answers upstream calls; never throws. 401 for a call that isn't proved to be the service's, 400 for what isn't an event of this hub or has not come whole, 413 for one that is too long, 500 when a handler
 * failed, 503 when the proof can't be judged right now. Throws at once when there is nothing to prove calls by.
 */
export function createUpstream(
  hub: string,
  proof: CallerProof,
  handlers: UpstreamHandlers,
  onError: (error: unknown) => void,
): (request: UpstreamRequest) => Promise<UpstreamAnswer> {
  const prove = createProver(proof);
  return async (request) => {
    try {
      if (request.method === "POST") {
        await prove(request.headers);
        // Repeats of an event are known by its id.
        if (!request.headers["ce-id"]) return plain(400, "ce-id is missing");
      }
    } catch (error) {
      const { code, message } = toChatError(error);
      if (code === "UNAUTHORIZED") return plain(401, message);
      onError(error);
      return plain(503, "the caller can't be verified right now");
    }
    const { method, headers, body } = request;
    if (body instanceof ChatError) {
      onError(body);
      return toProblem(body);
    }
    try {
      return await throughMiddleware(hub, { method, headers, body }, handlers);
    } catch (error) {
      onError(error);
      return plain(500, "the event could not be handled");
    }
  };
}

const plain = (status: number, body: string): UpstreamAnswer => ({
  status,
  headers: { "content-type": "text/plain; charset=utf-8" },
  body,
});

type ReceivedRequest = UpstreamRequest & { readonly body: Uint8Array };

/** What the middleware uses of an express response. */
interface ResponseLike {
  statusCode: number;
  setHeader(name: string, value: string | readonly string[]): void;
  end(data?: string | Uint8Array): void;
}

/** One call through a handler of its own, so that its promise can be awaited whichever way the middleware answers. */
function throughMiddleware(
  hub: string,
  request: ReceivedRequest,
  handlers: UpstreamHandlers,
): Promise<UpstreamAnswer> {
  return new Promise((resolve, reject) => {
    const headers: Record<string, string> = {};
    let work: Promise<void> | undefined;
    const response: ResponseLike = {
      statusCode: 200,
      setHeader(name, value) {
        headers[name.toLowerCase()] = typeof value === "string" ? value : value.join(", ");
      },
      end(data) {
        const empty = data === undefined || data.length === 0;
        // 204 says that there is nothing to send; an empty 200 could be taken for an empty frame.
        const status =
          empty && response.statusCode === 200 && request.method === "POST" ? 204 : response.statusCode;
        // Not the end yet: the middleware ends non-blocking events before it reads them, and starts their handler afterwards.
        finished = { status, headers, ...(empty ? {} : { body: data }) };
      },
    };
    let finished: UpstreamAnswer | undefined;
    const run = (start: () => Promise<void>): void => {
      // In an async function, so that a handler that throws before its first await fails the same way.
      work = (async () => start())();
      work.then(() => finished && resolve(finished), reject);
    };
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

/** The statuses of a refused handshake; the service hands them on to the client. */
const REFUSALS: Readonly<Partial<Record<ErrorCode, number>>> = {
  UNAUTHORIZED: 401,
  TOKEN_EXPIRED: 401,
  FORBIDDEN: 403,
  RATE_LIMIT_EXCEEDED: 429,
};

type HandlerOptions = NonNullable<ConstructorParameters<typeof WebPubSubEventHandler>[1]>;

function adapt(
  request: ReceivedRequest,
  handlers: UpstreamHandlers,
  run: (start: () => Promise<void>) => void,
): HandlerOptions {
  const event = (context: { connectionId: string; userId?: string; states: State }): ConnectionEvent => ({
    connectionId: context.connectionId,
    userId: context.userId ?? "",
    state: context.states,
  });
  return {
    handleConnect: (connect, response) =>
      run(() =>
        handlers
          .connect({
            connectionId: connect.context.connectionId,
            headers: lowerCased(connect.headers ?? {}),
            query: connect.queries ?? {},
            subprotocols: connect.subprotocols ?? [],
          })
          .then(
            ({ userId, subprotocol, state }) => {
              for (const [name, value] of Object.entries(state)) response.setState(name, value);
              response.success(subprotocol === undefined ? { userId } : { userId, subprotocol });
            },
            (thrown: unknown) => {
              const error = toChatError(thrown);
              if (error.code === "UNAVAILABLE") throw error;
              // Its types know 400, 401 and 500 only; it answers whatever status it is given.
              response.fail((REFUSALS[error.code] ?? 400) as never, `${error.code}: ${error.message}`);
            },
          ),
      ),
    handleUserEvent: (user: UserEventRequest, response) =>
      run(() =>
        handlers
          .message({
            ...event(user.context),
            eventId: request.headers["ce-id"] ?? "",
            data: request.body,
            ...(request.headers["traceparent"] ? { traceparent: request.headers["traceparent"] } : {}),
          })
          .then(({ text, state, drop }) => {
            // Any status but 2xx drops the connection; one below 500 is not tried again.
            if (drop) return response.fail(409 as never, "the connection has ended");
            if (state !== user.context.states)
              for (const name of new Set([...Object.keys(user.context.states), ...Object.keys(state)]))
                response.setState(name, state[name]);
            response.success(text, "text");
          }),
      ),
    onConnected: (connected) => run(() => handlers.connected(event(connected.context))),
    onDisconnected: (disconnected) => run(() => handlers.disconnected(event(disconnected.context))),
  };
}

const lowerCased = (headers: Readonly<Record<string, string[]>>): Record<string, readonly string[]> =>
  Object.fromEntries(Object.entries(headers).map(([name, values]) => [name.toLowerCase(), values]));
