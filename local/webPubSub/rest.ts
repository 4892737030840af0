import { isUtf8 } from "node:buffer";
import type { Connection } from "./connection.js";
import { encodeFrame } from "./frames.js";
import { sendTo } from "./hub.js";
import { isGroupName } from "./names.js";
import { badRequest, type RestAnswer, type RestCall, RestError } from "./restCall.js";
import { listConnections } from "./restListing.js";
import { filterOf, numberIn, selectionOf } from "./restQuery.js";

type Handler = (call: RestCall, first: string, second: string) => RestAnswer;

const ACCEPTED: RestAnswer = { status: 202 };
const DONE: RestAnswer = { status: 200 };
const GONE: RestAnswer = { status: 204 };
const MAX_TTL_SECONDS = 300;

/**
 * Every call by its method and the shape of its path, where `*` is a name. All handlers are synchronous, so
 * calls take effect in the order in which they arrived.
 */
const HANDLERS: Record<string, Handler> = {
  "POST :send": (call) => send(call, call.hub.connections.values()),
  "POST groups/*/:send": (call, group) => send(call, call.hub.group(group)),
  "POST users/*/:send": (call, user) => send(call, call.hub.user(user)),
  "POST connections/*/:send": (call, id) => send(call, connectionNamed(call, id)),
  "POST :closeConnections": (call) => close(call, call.hub.connections.values()),
  "POST groups/*/:closeConnections": (call, group) => close(call, call.hub.group(group)),
  "POST users/*/:closeConnections": (call, user) => close(call, call.hub.user(user)),
  "DELETE connections/*": (call, id) => close(call, connectionNamed(call, id)),
  "HEAD connections/*": (call, id) => exists("Connection", call.hub.connections.has(id)),
  "HEAD groups/*": (call, group) => exists("Group", call.hub.group(group).size > 0),
  "HEAD users/*": (call, user) => exists("User", call.hub.user(user).size > 0),
  "GET groups/*/connections": listConnections,
  "PUT groups/*/connections/*": (call, group, id) => {
    call.hub.join(theConnection(call, id), group);
    return DONE;
  },
  "DELETE groups/*/connections/*": (call, group, id) => leave(call, connectionNamed(call, id), group),
  "PUT users/*/groups/*": (call, user, group) => {
    for (const connection of call.hub.user(user)) call.hub.join(connection, group);
    return DONE;
  },
  "DELETE users/*/groups/*": (call, user, group) => leave(call, call.hub.user(user), group),
  "DELETE users/*/groups": (call, user) => leave(call, call.hub.user(user)),
  "DELETE connections/*/groups": (call, id) => leave(call, connectionNamed(call, id)),
  "POST :addToGroups": (call) => changeGroups(call, (connection, group) => call.hub.join(connection, group)),
  "POST :removeFromGroups": (call) =>
    changeGroups(call, (connection, group) => call.hub.leave(connection, group)),
  "PUT permissions/*/connections/*": (call, permission, id) => {
    const name = role(call, permission);
    theConnection(call, id).roles.add(name);
    return DONE;
  },
  "DELETE permissions/*/connections/*": (call, permission, id) => {
    const name = role(call, permission);
    for (const connection of connectionNamed(call, id)) connection.roles.delete(name);
    return GONE;
  },
  "HEAD permissions/*/connections/*": (call, permission, id) => {
    const roles = call.hub.connections.get(id)?.roles;
    const wanted = role(call, permission);
    return exists("Permission", roles?.has(wanted) || roles?.has(`webpubsub.${permission}`) || false);
  },
  "POST :generateToken": generateToken,
};
const BY_SHAPE = new Map(Object.entries(HANDLERS));

/** Carries out one call; throws RestError. */
export function handleRest(call: RestCall): RestAnswer {
  const segments = call.path.split("/");
  // Words and names alternate. An action starts with a colon, which is encoded inside a name.
  const isWord = (segment: string, at: number) => at % 2 === 0 || segment.startsWith(":");
  const shape = segments.map((segment, at) => (isWord(segment, at) ? segment : "*")).join("/");
  const handler = BY_SHAPE.get(`${call.method} ${shape}`);
  if (!handler) throw new RestError(404, "NotFound", `There is no call ${call.method} ${shape} on a hub.`);
  const [first = "", second = ""] = segments
    .map((segment, at) => (isWord(segment, at) ? undefined : nameIn(segment, segments[at - 1]!)))
    .filter((name) => name !== undefined);
  return handler(call, first, second);
}

const KINDS = new Map([
  ["groups", "group name"],
  ["users", "user ID"],
  ["connections", "connection ID"],
]);

/** The name behind a word of the path; throws RestError. */
function nameIn(segment: string, word: string): string {
  const kind = KINDS.get(word) ?? word;
  let name = "";
  try {
    name = decodeURIComponent(segment);
  } catch {
    // The name is not valid.
  }
  if (name === "" || (word === "groups" && !isGroupName(name))) throw badRequest(`Invalid ${kind}.`);
  return name;
}

function send(call: RestCall, targets: Iterable<Connection>): RestAnswer {
  // Only its range is checked: messages are never kept here, so none can get too old.
  numberIn(call.query, "messageTtlSeconds", 0, MAX_TTL_SECONDS);
  const selection = selectionOf(call.query);
  requireLength(call);
  const contentType = typeOf(call);
  const isBinary = contentType === "application/octet-stream";
  if (!isBinary && contentType !== "text/plain" && contentType !== "application/json") {
    const wanted = "text/plain, application/json or application/octet-stream";
    throw new RestError(415, "UnsupportedMediaType", `A message's Content-Type must be ${wanted}.`);
  }
  if (!isBinary && !isUtf8(call.body)) throw badRequest("The text is not UTF-8.");
  if (contentType === "application/json") parseJson(call.body);
  sendTo(targets, encodeFrame(call.body, isBinary), selection);
  return ACCEPTED;
}

/** A body without a type is bytes. */
function typeOf({ contentType }: RestCall): string {
  return contentType.split(";")[0]!.trim().toLowerCase() || "application/octet-stream";
}

function requireLength({ hasLength }: RestCall): void {
  if (!hasLength) throw badRequest("Invalid Content-Length header.");
}

function close(call: RestCall, targets: Iterable<Connection>): RestAnswer {
  const excluded = new Set(call.query.getAll("excluded"));
  const reason = call.query.get("reason") ?? "";
  for (const connection of [...targets]) {
    if (!excluded.has(connection.id)) connection.close(1000, reason);
  }
  return GONE;
}

function leave(call: RestCall, connections: Iterable<Connection>, group?: string): RestAnswer {
  for (const connection of connections) {
    if (group === undefined) call.hub.leaveAll(connection);
    else call.hub.leave(connection, group);
  }
  return GONE;
}

function changeGroups(call: RestCall, change: (connection: Connection, group: string) => void): RestAnswer {
  requireLength(call);
  if (typeOf(call) !== "application/json")
    throw new RestError(415, "UnsupportedMediaType", "The Content-Type must be application/json.");
  const { groups, filter } = parseJson(call.body) as { groups?: unknown; filter?: unknown };
  if (!Array.isArray(groups) || groups.length === 0 || !groups.every(isGroupName))
    throw badRequest("A nonempty list of valid group names is required.");
  if (filter !== undefined && filter !== null && typeof filter !== "string")
    throw badRequest('"filter" must be a string.');
  const picks = filterOf(filter ?? null);
  for (const connection of call.hub.connections.values()) {
    if (picks?.(connection) === false) continue;
    for (const group of groups) change(connection, group);
  }
  return DONE;
}

function generateToken({ hub, query, origin, tokens }: RestCall): RestAnswer {
  const minutes = numberIn(query, "minutesToExpire", 1) ?? 60;
  requireClientType(query.get("clientType"));
  const now = Math.floor(Date.now() / 1000);
  const userId = query.get("userId");
  const [roles, groups] = [query.getAll("role"), query.getAll("group")];
  if (!groups.every(isGroupName)) throw badRequest("Invalid group name.", "group");
  const token = tokens.sign({
    ...(userId ? { sub: userId } : {}),
    ...(roles.length > 0 ? { role: roles } : {}),
    ...(groups.length > 0 ? { "webpubsub.group": groups } : {}),
    ...{ iat: now, nbf: now, exp: now + minutes * 60, aud: `${origin}/client/hubs/${hub.name}` },
  });
  return { status: 200, body: { token } };
}

function requireClientType(type: string | null): void {
  const name = (type ?? "Default").toLowerCase();
  if (name === "mqtt")
    throw new RestError(501, "NotImplemented", "There are no MQTT clients here, nor tokens for them.");
  if (name !== "default") throw badRequest("Invalid clientType.", "clientType");
}

function exists(what: string, found: boolean): RestAnswer {
  return found ? DONE : { status: 404, errorCode: `Warning.${what}.NotExisted` };
}

function connectionNamed({ hub }: RestCall, id: string): Connection[] {
  const connection = hub.connections.get(id);
  return connection ? [connection] : [];
}

function theConnection({ hub }: RestCall, id: string): Connection {
  const connection = hub.connections.get(id);
  if (connection) return connection;
  const code = "Error.Connection.NotExisted";
  throw new RestError(404, code, `Connection \`${id}\` is not found.`, "Connection");
}

/** A permission is kept as the role that would grant it: `webpubsub.sendToGroup.G`. */
function role({ query }: RestCall, permission: string): string {
  if (permission !== "sendToGroup" && permission !== "joinLeaveGroup") {
    throw badRequest("A permission is sendToGroup or joinLeaveGroup.", "permission");
  }
  const target = query.get("targetName");
  if (target && !isGroupName(target)) throw badRequest("Invalid group name.", "targetName");
  return target ? `webpubsub.${permission}.${target}` : `webpubsub.${permission}`;
}

function parseJson(body: Buffer): object {
  try {
    const value: unknown = JSON.parse(body.toString());
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    throw badRequest("The request body is not a valid JSON.");
  }
}
