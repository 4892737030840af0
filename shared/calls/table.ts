import { deleteMessage } from "../messages/hide.js";
import { listMessages } from "../messages/list.js";
import { readRoom } from "../reads/accept.js";
import { inviteMembers, leaveRoom, removeMember } from "../rooms/changeMembers.js";
import { changeRoom } from "../rooms/changeRoom.js";
import { createGroupRoom, openDirectRoom } from "../rooms/createRooms.js";
import { listMembers } from "../rooms/listMembers.js";
import { listRooms } from "../rooms/listRooms.js";
import { withdrawUser } from "../rooms/withdrawUser.js";
import { type Call, call } from "./call.js";
import { health } from "./health.js";
import { logOut } from "./logOut.js";
import { negotiate } from "./negotiate.js";
import { documentOf } from "./openApi.js";
import * as api from "./schemas.js";

/** A user is no member of the room, or there is no such room, member or message. */
const OF_ROOM = [403, 404] as const;

/**
 * All HTTP calls, each under the name of its function. The triggers and the OpenAPI document are made of this
 * table.
 */
export const CALLS: Readonly<Record<string, Call>> = {
  negotiate: call({
    method: "POST",
    route: "negotiate",
    who: { rate: "negotiates" },
    summary: "An address to connect a WebSocket to",
    answers: { 200: ["The address, and until when it can be used", api.Negotiated] },
    run: negotiate,
  }),

  logOut: call({
    method: "POST",
    route: "sessions/logout",
    who: { rate: "writes" },
    summary: "Close all my sessions, or those of one device",
    body: api.LogOut,
    bodyOptional: true,
    answers: { 200: ["They have been told and closed", api.LoggedOut] },
    run: logOut,
  }),

  listRooms: call({
    method: "GET",
    route: "rooms",
    who: { rate: "lookups" },
    summary: "My rooms, latest activity first",
    query: api.RoomsQuery,
    answers: { 200: ["A page of rooms", api.RoomsPage] },
    run: listRooms,
  }),

  openDirectRoom: call({
    method: "POST",
    route: "rooms",
    who: { rate: "writes" },
    summary: "The one-to-one room with another user",
    body: api.NewDirect,
    keyed: true,
    answers: { 200: ["It was there", api.RoomRef], 201: ["It was made", api.RoomRef] },
    run: async (input, deps) => {
      const { roomId, created } = await openDirectRoom(input, deps);
      return { status: created ? 201 : 200, body: { roomId } };
    },
  }),

  leaveRoom: call({
    method: "DELETE",
    route: "rooms/{roomId}",
    who: { rate: "writes" },
    summary: "Leave a room",
    path: api.RoomPath,
    answers: { 200: ["Left: all my sessions have stopped receiving", api.Removed] },
    errors: OF_ROOM,
    run: leaveRoom,
  }),

  listMessages: call({
    method: "GET",
    route: "rooms/{roomId}/messages",
    who: { rate: "lookups" },
    summary: "A page of a room's history, newest first, or oldest first with `after`",
    path: api.RoomPath,
    query: api.MessagesQuery,
    answers: { 200: ["A page of messages", api.MessagesPage] },
    errors: OF_ROOM,
    run: listMessages,
  }),

  deleteMessage: call({
    method: "DELETE",
    route: "rooms/{roomId}/messages/{messageId}",
    who: { rate: "writes" },
    summary: "Delete a message for me only",
    path: api.MessagePath,
    answers: { 200: ["Deleted, or was before", api.MessageRef] },
    errors: OF_ROOM,
    run: deleteMessage,
  }),

  readRoom: call({
    method: "PATCH",
    route: "rooms/{roomId}/read",
    who: { rate: "reads" },
    summary: "I have read the room up to a message",
    path: api.RoomPath,
    query: api.ReadQuery,
    answers: { 202: ["Accepted: it can't be lost any more", api.ReadAccepted] },
    errors: OF_ROOM,
    run: readRoom,
  }),

  createGroupRoom: call({
    method: "POST",
    route: "group-rooms",
    who: { rate: "writes" },
    summary: "Make a group of myself and others",
    body: api.NewGroup,
    keyed: true,
    answers: { 201: ["Made; the caller is its creator", api.RoomRef] },
    run: createGroupRoom,
  }),

  changeRoom: call({
    method: "PATCH",
    route: "group-rooms/{roomId}",
    who: { rate: "writes" },
    summary: "Give a group another name or picture",
    path: api.RoomPath,
    body: api.RoomChanges,
    answers: { 200: ["So the group looks now", api.RoomLook] },
    errors: OF_ROOM,
    run: changeRoom,
  }),

  listMembers: call({
    method: "GET",
    route: "group-rooms/{roomId}/members",
    who: { rate: "lookups" },
    summary: "A group's members, the longest-standing first",
    path: api.RoomPath,
    answers: { 200: ["All members", api.MemberList] },
    errors: OF_ROOM,
    run: listMembers,
  }),

  inviteMembers: call({
    method: "POST",
    route: "group-rooms/{roomId}/invite",
    who: { rate: "writes" },
    summary: "Take users into a group",
    path: api.RoomPath,
    body: api.Invitation,
    keyed: true,
    answers: { 200: ["Members now; the new ones are announced", api.Invited] },
    errors: OF_ROOM,
    run: inviteMembers,
  }),

  removeMember: call({
    method: "DELETE",
    route: "group-rooms/{roomId}/members/{userId}",
    who: { rate: "writes" },
    summary: "Remove a member, by the room's creator",
    path: api.MemberPath,
    answers: { 200: ["Removed: all their sessions have stopped receiving", api.Removed] },
    errors: OF_ROOM,
    run: removeMember,
  }),

  withdrawUser: call({
    method: "DELETE",
    route: "users/{userId}/rooms",
    who: "trusted",
    summary: "Have a user leave all rooms, by a service whose token has the scope chat.admin",
    path: api.UserPath,
    answers: { 200: ["The user is in no room any more", api.Withdrawn] },
    errors: [403],
    run: withdrawUser,
  }),

  health: call({
    method: "GET",
    route: "health",
    who: "open",
    summary: "Each dependency's state",
    answers: { 200: ["Messages can be sent and shown", api.Health], 503: ["They can't be", api.Health] },
    run: async (_request, deps) => {
      const report = await health(deps);
      return { status: report.status === "down" ? 503 : 200, body: report };
    },
  }),

  openApi: call({
    method: "GET",
    route: "openapi.json",
    who: "open",
    summary: "This document",
    answers: { 200: ["OpenAPI 3.1"] },
    run: async () => openApiDocument(),
  }),
};

let document: object | undefined;

/** The OpenAPI 3.1 document of the calls. */
export function openApiDocument(): object {
  document ??= documentOf(CALLS);
  return document;
}
