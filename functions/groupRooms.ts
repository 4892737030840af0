import { app } from "@azure/functions";
import { getApp } from "../shared/app.js";
import { authenticated, keyOf, parseJson } from "./http.js";

const chat = getApp();

app.http("createGroupRoom", {
  route: "group-rooms",
  methods: ["POST"],
  authLevel: "anonymous",
  handler: authenticated("writes", async ({ request, body, callerId }) => ({
    status: 201,
    jsonBody: await chat.createGroupRoom(parseJson(body), callerId, keyOf(request)),
  })),
});

app.http("renameRoom", {
  route: "group-rooms/{roomId}",
  methods: ["PATCH"],
  authLevel: "anonymous",
  handler: authenticated("writes", async ({ request, body, callerId }) => ({
    jsonBody: await chat.renameRoom(request.params, parseJson(body), callerId),
  })),
});

app.http("listMembers", {
  route: "group-rooms/{roomId}/members",
  methods: ["GET"],
  authLevel: "anonymous",
  handler: authenticated("lookups", async ({ request, callerId }) => ({
    jsonBody: await chat.listMembers(request.params, callerId),
  })),
});

app.http("inviteMembers", {
  route: "group-rooms/{roomId}/invite",
  methods: ["POST"],
  authLevel: "anonymous",
  handler: authenticated("writes", async ({ request, body, callerId }) => ({
    jsonBody: await chat.inviteMembers(request.params, parseJson(body), callerId, keyOf(request)),
  })),
});

app.http("removeMember", {
  route: "group-rooms/{roomId}/members/{userId}",
  methods: ["DELETE"],
  authLevel: "anonymous",
  handler: authenticated("writes", async ({ request, callerId }) => ({
    jsonBody: await chat.removeMember(request.params, callerId),
  })),
});
