import { app } from "@azure/functions";
import { getApp } from "../shared/app.js";
import { toChatError } from "../shared/platform/errors.js";
import { bodyOf, traceparentOf } from "./http.js";
import { wholeResponse } from "./wholeResponse.js";

const chat = getApp();

/**
 * The service takes messages of up to 1 MB from clients; a handshake's headers and query come as a body, too.
 */
const EVENT_BYTES = 1_024 * 1_024 + 64 * 1_024;

// Anonymous to the Functions host: every event proves by ce-signature that it comes from the socket service.
app.http("clientEvent", {
  route: "upstream/{event}",
  methods: ["POST", "OPTIONS"],
  authLevel: "anonymous",
  handler: async (request, context) => {
    // Why a body can't be taken is told to the service alone, once the call is proved to be its own.
    // `upstream` answers and logs it. It is no refusal of a client's, so it is not counted.
    const body = await bodyOf(request, EVENT_BYTES).catch(toChatError);
    const { traceparent: _, ...headers } = Object.fromEntries(request.headers.entries());
    const traceparent = traceparentOf(request, context);
    return wholeResponse(
      await chat.upstream({
        method: request.method,
        headers: { ...headers, ...(traceparent === undefined ? {} : { traceparent }) },
        body,
      }),
    );
  },
});
