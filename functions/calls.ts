import { app, type HttpHandler, type HttpRequest, type InvocationContext } from "@azure/functions";
import { getApp } from "../shared/app.js";
import type { Answer, Call } from "../shared/calls/call.js";
import { CALLS } from "../shared/calls/table.js";
import { bodyOf, keyOf, parseJson, queryOf, refused, refuseLonger, traceparentOf } from "./http.js";

const chat = getApp();

const BODY_BYTES = 64 * 1_024;

// Anonymous to the Functions host: callers prove by their own token who they are.
for (const [name, call] of Object.entries(CALLS))
  app.http(name, {
    route: call.route,
    methods: [call.method],
    authLevel: "anonymous",
    handler: handlerOf(call),
  });

function handlerOf(call: Call): HttpHandler {
  return async (request, context) => {
    try {
      const { status, body } = await answer(call, request, context);
      return { status, jsonBody: body };
    } catch (thrown) {
      return refused(thrown);
    }
  };
}

async function answer(call: Call, request: HttpRequest, context: InvocationContext): Promise<Answer> {
  const isOpen = call.who === "open";
  // Before anything is asked of others.
  if (!isOpen) refuseLonger(request, BODY_BYTES);
  const caller = await chat.admit(call.who, request.headers.get("authorization"));
  // Also of a call that takes none: a body that is too long or came in part is refused everywhere but where
  // everybody may call.
  const bytes = isOpen ? new Uint8Array() : await bodyOf(request, BODY_BYTES);
  const isLeftOut = call.body === undefined || (call.bodyOptional && bytes.length === 0);
  return chat.run(call, {
    caller,
    path: request.params,
    query: queryOf(request),
    body: isLeftOut ? {} : parseJson(bytes),
    key: keyOf(request),
    traceparent: traceparentOf(request.headers.get("traceparent"), context),
  });
}
