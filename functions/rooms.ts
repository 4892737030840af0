import { app } from "@azure/functions";
import { getApp } from "../shared/app.js";
import { authenticated, jsonBody, queryOf } from "./http.js";

const chat = getApp();

app.http("createGroupRoom", {
  route: "group-rooms",
  methods: ["POST"],
  authLevel: "anonymous",
  handler: authenticated(async ({ request, callerId }) => ({
    status: 201,
    jsonBody: await chat.createGroupRoom(await jsonBody(request), callerId),
  })),
});

app.http("openDirectRoom", {
  route: "rooms",
  methods: ["POST"],
  authLevel: "anonymous",
  handler: authenticated(async ({ request, callerId }) => {
    const { roomId, created } = await chat.openDirectRoom(await jsonBody(request), callerId);
    return { status: created ? 201 : 200, jsonBody: { roomId } };
  }),
});

app.http("listRooms", {
  route: "rooms",
  methods: ["GET"],
  authLevel: "anonymous",
  handler: authenticated(async ({ request, callerId }) => ({
    jsonBody: await chat.listRooms(queryOf(request), callerId),
  })),
});

app.http("listMessages", {
  route: "rooms/{roomId}/messages",
  methods: ["GET"],
  authLevel: "anonymous",
  handler: authenticated(async ({ request, callerId }) => ({
    jsonBody: await chat.listMessages({ ...queryOf(request), roomId: request.params["roomId"] }, callerId),
  })),
});
