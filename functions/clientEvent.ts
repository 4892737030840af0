import { app, type InvocationContext } from "@azure/functions";
import { getApp } from "../shared/app.js";
import { type ChatError, toChatError } from "../shared/platform/errors.js";
import { traceparentOf, wholeBodyOf } from "./http.js";
import { takeWhole, WholeRequest } from "./wholeRequest.js";
import { wholeResponse } from "./wholeResponse.js";

const chat = getApp();

/**
 * The service takes messages of up to 1 MB from clients; a handshake's headers and query come as a body, too.
 */
const EVENT_BYTES = 1_024 * 1_024 + 64 * 1_024;

async function handle(request: WholeRequest, context: InvocationContext) {
  // Never of a worker that has the library's programming model. Headers of another kind would say nothing of the caller.
  if (!(request instanceof WholeRequest)) throw new Error("the worker has no setProgrammingModel");
  const { method, headers } = request;
  const traceparent = traceparentOf(headers["traceparent"], context);
  const isAsItCame = traceparent === headers["traceparent"];
  const answer = await chat.upstream({
    method,
    headers: isAsItCame ? headers : { ...headers, traceparent: traceparent ?? "" },
    body: bodyOrRefusal(request),
  });
  return wholeResponse(answer);
}

/**
 * Why a body can't be taken is told to the service alone, once the call is proved to be its own. `upstream` answers
 * and logs it. It is no refusal of a client's, so it is not counted.
 */
function bodyOrRefusal(request: WholeRequest): Uint8Array | ChatError {
  try {
    return wholeBodyOf(request, EVENT_BYTES);
  } catch (error) {
    return toChatError(error);
  }
}

// Anonymous to the Functions host: every event proves by ce-signature that it comes from the socket service.
app.http("clientEvent", {
  route: "upstream/{event}",
  methods: ["POST", "OPTIONS"],
  authLevel: "anonymous",
  handler: handle as never,
});
takeWhole("clientEvent");
