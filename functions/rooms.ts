import { app } from "@azure/functions";
import { getApp } from "../shared/app.js";
import { authenticated, keyOf, parseJson, queryOf } from "./http.js";

const chat = getApp();

app.http("openDirectRoom", {
  route: "rooms",
  methods: ["POST"],
  authLevel: "anonymous",
  handler: authenticated("writes", async ({ request, body, callerId }) => {
    const { roomId, created } = await chat.openDirectRoom(parseJson(body), callerId, keyOf(request));
    return { status: created ? 201 : 200, jsonBody: { roomId } };
  }),
});

app.http("listRooms", {
  route: "rooms",
  methods: ["GET"],
  authLevel: "anonymous",
  handler: authenticated("lookups", async ({ request, callerId }) => ({
    jsonBody: await chat.listRooms(queryOf(request), callerId),
  })),
});

app.http("leaveRoom", {
  route: "rooms/{roomId}",
  methods: ["DELETE"],
  authLevel: "anonymous",
  handler: authenticated("writes", async ({ request, callerId }) => ({
    jsonBody: await chat.leaveRoom(request.params, callerId),
  })),
});

app.http("listMessages", {
  route: "rooms/{roomId}/messages",
  methods: ["GET"],
  authLevel: "anonymous",
  handler: authenticated("lookups", async ({ request, callerId }) => ({
    jsonBody: await chat.listMessages(request.params, queryOf(request), callerId),
  })),
});

app.http("deleteMessage", {
  route: "rooms/{roomId}/messages/{messageId}",
  methods: ["DELETE"],
  authLevel: "anonymous",
  handler: authenticated("writes", async ({ request, callerId }) => ({
    jsonBody: await chat.deleteMessage(request.params, callerId),
  })),
});

app.http("readRoom", {
  route: "rooms/{roomId}/read",
  methods: ["PATCH"],
  authLevel: "anonymous",
  handler: authenticated("reads", async ({ request, callerId, traceparent }) => ({
    status: 202,
    jsonBody: await chat.readRoom(request.params, queryOf(request), callerId, traceparent),
  })),
});
