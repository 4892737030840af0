import type { z } from "zod";
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from "zod-openapi";
import type { Call } from "./call.js";
import { IdempotencyHeader, Problem } from "./schemas.js";

const ERRORS = {
  400: "A wrong request: `field` names what is wrong",
  401: "No JWT, or one that is not good",
  403: "Not a member of the room, or not allowed",
  404: "No such room, member or message",
  413: "The body has more than 64 KiB",
  422: "The Idempotency-Key stands for another request",
  429: "Too many in the last 60 seconds: `retryAfter`, also a header, says after how many seconds to come again",
  503: "Something the call needs is away; try again",
};

/** What every call that needs a token may be answered. Each may have a body, if only to have it refused. */
const OF_CALLERS = [400, 401, 413, 503] as const;

/** The OpenAPI 3.1 document of these calls, made of the schemas that check their requests. */
export function documentOf(calls: Readonly<Record<string, Call>>): object {
  const paths: ZodOpenApiPathsObject = {};
  for (const [name, call] of Object.entries(calls)) {
    const path = `/${call.route}`;
    paths[path] = { ...paths[path], [call.method.toLowerCase()]: operation(name, call) };
  }
  return createDocument({
    openapi: "3.1.0",
    info: { title: "Nonstop Chat", version: "1.0.0" },
    servers: [{ url: "/api/v1/chat" }],
    components: { securitySchemes: { jwt: { type: "http", scheme: "bearer", bearerFormat: "JWT" } } },
    security: [{ jwt: [] }],
    paths,
  });
}

function operation(operationId: string, call: Call): ZodOpenApiOperationObject {
  return {
    operationId,
    summary: call.summary,
    ...(call.who === "open" && { security: [] }),
    requestParams: {
      ...(call.path && { path: call.path }),
      ...(call.query && { query: call.query }),
      ...(call.keyed && { header: IdempotencyHeader }),
    },
    ...(call.body && { requestBody: { required: !call.bodyOptional, ...json(call.body) } }),
    responses: Object.fromEntries([...answersOf(call), ...errorsOf(call)]),
  };
}

const json = (schema: z.ZodType | undefined) => ({
  content: { "application/json": { ...(schema && { schema }) } },
});

const answersOf = ({ answers }: Call) =>
  Object.entries(answers).map(([status, [description, schema]]) => [
    status,
    { description, ...json(schema) },
  ]);

function errorsOf({ who, keyed, errors = [] }: Call) {
  if (who === "open") return [];
  const limited = who === "trusted" ? [] : ([429] as const);
  const statuses = [...OF_CALLERS, ...limited, ...(keyed ? ([422] as const) : []), ...errors];
  const content = { "application/problem+json": { schema: Problem } };
  return statuses.map((status) => [status, { description: ERRORS[status], content }]);
}
