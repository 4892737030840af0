import { ChatError, toChatError, toProblem } from "../platform/errors.js";
import { inTraceOf } from "../platform/trace.js";
import { plain, type UpstreamAnswer } from "./answer.js";
import { type CallerProof, createProver } from "./callerProof.js";
import type { UpstreamHandlers } from "./events.js";
import { type ReceivedRequest, throughMiddleware } from "./middleware.js";
import { answerUserEvent } from "./userEvent.js";

/**
 * The service's upstream calls (CloudEvents 1.0 over HTTP, binary mode): checks that they are the service's,
 * has `@azure/web-pubsub-express` decode and answer them (all but clients' messages, see `userEvent.ts`), and
 * holds the answer until the handler is done. The middleware alone takes any caller's, answers `connected` and
 * `disconnected` before their handlers run, and lets a rejection go unhandled.
 */

export interface UpstreamRequest extends Omit<ReceivedRequest, "body"> {
  /** Or why it can't be taken. */
  readonly body: Uint8Array | ChatError;
}

/**
 * Answers upstream calls; never throws. 401 for a call that isn't proved to be the service's, 400 for what
 * isn't an event of this hub or has not come whole, 413 for one that is too long, 500 when a handler failed,
 * 503 when the proof can't be judged right now. Throws at once when there is nothing to prove calls by.
 */
export function createUpstream(
  hub: string,
  proof: CallerProof,
  handlers: UpstreamHandlers,
  onError: (error: unknown) => void,
): (request: UpstreamRequest) => Promise<UpstreamAnswer> {
  const prove = createProver(proof);
  return async ({ method, headers, body }) => {
    try {
      if (method === "POST") {
        await prove(headers);
        // Repeats of an event are known by its id.
        if (!headers["ce-id"]) return plain(400, "ce-id is missing");
      }
    } catch (error) {
      const { code, message } = toChatError(error);
      if (code === "UNAUTHORIZED") return plain(401, message);
      onError(error);
      return plain(503, "the caller can't be verified right now");
    }
    if (body instanceof ChatError) {
      onError(body);
      return toProblem(body);
    }
    try {
      const { traceparent } = headers;
      const request = { method, headers, body };
      return await inTraceOf(
        traceparent,
        () => answerUserEvent(hub, request, handlers) ?? throughMiddleware(hub, request, handlers),
      );
    } catch (error) {
      onError(error);
      return plain(500, "the event could not be handled");
    }
  };
}
