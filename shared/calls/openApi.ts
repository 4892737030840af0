import type { z } from "zod";
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from "zod-openapi";
import * as api from "./schemas.js";

const ERRORS: Readonly<Record<string, string>> = {
  400: "A wrong request: `field` names what is wrong",
  401: "No JWT, or one that is not good",
  403: "Not a member of the room, or not allowed",
  404: "No such room, member or message",
  413: "The body has more than 64 KiB",
  422: "The Idempotency-Key stands for another request",
  429: "Too many in the last 60 seconds: `retryAfter`, also a header, says after how many seconds to come again",
  503: "Something the call needs is away; try again",
};

type Status = 200 | 201 | 202 | 503;

/** What an operation is made of. */
interface Call {
  readonly summary: string;
  readonly path?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodObject;
  readonly answers: Partial<Record<Status, readonly [description: string, schema: z.ZodType]>>;
  readonly errors: readonly (keyof typeof ERRORS)[];
  /** The body may be left out. */
  readonly bodyOptional?: true;
  /** It can have an `Idempotency-Key`. */
  readonly keyed?: true;
  /** No JWT is needed. */
  readonly open?: true;
}

const json = (schema: z.ZodType) => ({ content: { "application/json": { schema } } });

const problem = { content: { "application/problem+json": { schema: api.Problem } } };

function operation(operationId: string, call: Call): ZodOpenApiOperationObject {
  const answers = Object.entries(call.answers).map(([status, [description, schema]]) => [
    status,
    { description, ...json(schema) },
  ]);
  // Whoever calls may send a body, if only to have it refused, and may call too often.
  const everywhere = call.open ? [] : ["413", "429"];
  const statuses = new Set([...call.errors, ...(call.keyed ? ["422"] : []), ...everywhere]);
  const errors = [...statuses].map((status) => [status, { description: ERRORS[status], ...problem }]);
  return {
    operationId,
    summary: call.summary,
    ...(call.open ? { security: [] } : {}),
    requestParams: {
      ...(call.path === undefined ? {} : { path: call.path }),
      ...(call.query === undefined ? {} : { query: call.query }),
      ...(call.keyed ? { header: api.IdempotencyHeader } : {}),
    },
    ...(call.body === undefined ? {} : { requestBody: { required: !call.bodyOptional, ...json(call.body) } }),
    responses: Object.fromEntries([...answers, ...errors]) as ZodOpenApiOperationObject["responses"],
  };
}

const OF_ROOM = ["400", "401", "403", "404", "503"] as const;
const WITH_BODY = ["400", "401", "503"] as const;

const paths: ZodOpenApiPathsObject = {
  "/negotiate": {
    post: operation("negotiate", {
      summary: "An address to connect a WebSocket to",
      answers: { 200: ["The address, and until when it can be used", api.Negotiated] },
      errors: ["401", "503"],
    }),
  },
  "/sessions/logout": {
    post: operation("logOut", {
      summary: "Close all my sessions, or those of one device",
      body: api.LogOut,
      bodyOptional: true,
      answers: { 200: ["They have been told and closed", api.LoggedOut] },
      errors: WITH_BODY,
    }),
  },
  "/rooms": {
    get: operation("listRooms", {
      summary: "My rooms, latest activity first",
      query: api.RoomsQuery,
      answers: { 200: ["A page of rooms", api.RoomsPage] },
      errors: ["400", "401", "503"],
    }),
    post: operation("openDirectRoom", {
      summary: "The one-to-one room with another user",
      body: api.NewDirect,
      answers: { 200: ["It was there", api.RoomRef], 201: ["It was made", api.RoomRef] },
      errors: WITH_BODY,
      keyed: true,
    }),
  },
  "/rooms/{roomId}": {
    delete: operation("leaveRoom", {
      summary: "Leave a room",
      path: api.RoomPath,
      answers: { 200: ["Left: all my sessions have stopped receiving", api.Removed] },
      errors: OF_ROOM,
    }),
  },
  "/rooms/{roomId}/messages": {
    get: operation("listMessages", {
      summary: "A page of a room's history, newest first, or oldest first with `after`",
      path: api.RoomPath,
      query: api.MessagesQuery,
      answers: { 200: ["A page of messages", api.MessagesPage] },
      errors: OF_ROOM,
    }),
  },
  "/rooms/{roomId}/messages/{messageId}": {
    delete: operation("deleteMessage", {
      summary: "Delete a message for me only",
      path: api.MessagePath,
      answers: { 200: ["Deleted, or was before", api.MessageRef] },
      errors: OF_ROOM,
    }),
  },
  "/rooms/{roomId}/read": {
    patch: operation("readRoom", {
      summary: "I have read the room up to a message",
      path: api.RoomPath,
      query: api.ReadQuery,
      answers: { 202: ["Accepted: it can't be lost any more", api.ReadAccepted] },
      errors: OF_ROOM,
    }),
  },
  "/group-rooms": {
    post: operation("createGroupRoom", {
      summary: "Make a group of myself and others",
      body: api.NewGroup,
      answers: { 201: ["Made; the caller is its creator", api.RoomRef] },
      errors: WITH_BODY,
      keyed: true,
    }),
  },
  "/group-rooms/{roomId}": {
    patch: operation("renameRoom", {
      summary: "Give a group another name",
      path: api.RoomPath,
      body: api.NewName,
      answers: { 200: ["Renamed", api.NamedRoom] },
      errors: OF_ROOM,
    }),
  },
  "/group-rooms/{roomId}/members": {
    get: operation("listMembers", {
      summary: "A group's members, the longest-standing first",
      path: api.RoomPath,
      answers: { 200: ["All members", api.MemberList] },
      errors: OF_ROOM,
    }),
  },
  "/group-rooms/{roomId}/invite": {
    post: operation("inviteMembers", {
      summary: "Take users into a group",
      path: api.RoomPath,
      body: api.Invitation,
      answers: { 200: ["Members now; the new ones are announced", api.Invited] },
      errors: OF_ROOM,
      keyed: true,
    }),
  },
  "/group-rooms/{roomId}/members/{userId}": {
    delete: operation("removeMember", {
      summary: "Remove a member, by the room's creator",
      path: api.MemberPath,
      answers: { 200: ["Removed: all their sessions have stopped receiving", api.Removed] },
      errors: OF_ROOM,
    }),
  },
  "/users/{userId}/rooms": {
    delete: operation("withdrawUser", {
      summary: "Have a user leave all rooms, by a service whose token has the scope chat.admin",
      path: api.UserPath,
      answers: { 200: ["The user is in no room any more", api.Withdrawn] },
      errors: ["400", "401", "403", "503"],
    }),
  },
  "/health": {
    get: {
      ...operation("health", {
        summary: "Each dependency's state",
        answers: {
          200: ["Messages can be sent and shown", api.Health],
          503: ["They can't be", api.Health],
        },
        errors: [],
        open: true,
      }),
    },
  },
  "/openapi.json": {
    get: {
      operationId: "openApi",
      summary: "This document",
      security: [],
      responses: { "200": { description: "OpenAPI 3.1", content: { "application/json": {} } } },
    },
  },
};

let document: object | undefined;

/** The OpenAPI 3.1 document of the HTTP calls, made of the schemas that check them. */
export function openApiDocument(): object {
  document ??= createDocument({
    openapi: "3.1.0",
    info: { title: "Nonstop Chat", version: "1.0.0" },
    servers: [{ url: "/api/v1/chat" }],
    components: { securitySchemes: { jwt: { type: "http", scheme: "bearer", bearerFormat: "JWT" } } },
    security: [{ jwt: [] }],
    paths,
  });
  return document;
}
