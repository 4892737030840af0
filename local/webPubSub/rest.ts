import { isUtf8 } from "node:buffer";
import type { Connection } from "./connection.js";
import { compileFilter, FilterError } from "./filter.js";
import { encodeFrame } from "./frames.js";
import { type Hub, type Selection, sendTo } from "./hub.js";
import type { Tokens } from "./tokens.js";

/** One authenticated call on a hub's data plane, its body read whole. */
export interface RestCall {
  readonly method: string;
  readonly hub: Hub;
  /** The path below `/api/hubs/{hub}/`, still percent-encoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly contentType: string;
  readonly body: Buffer;
  /** `http://host:port` as the caller wrote it, for the links in an answer. */
  readonly origin: string;
  readonly tokens: Tokens;
}

export interface RestAnswer {
  readonly status: number;
  readonly body?: object;
}

/** A call that is refused; becomes the service's error body `{code, message}`. */
export class RestError extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

type Handler = (call: RestCall, first: string, second: string) => RestAnswer;

const ACCEPTED: RestAnswer = { status: 202 };
const DONE: RestAnswer = { status: 200 };
const GONE: RestAnswer = { status: 204 };
const MAX_PAGE = 200;

/**
 * Every call by its method and the shape of its path; `*` is a name. All of them are synchronous, so that calls
 * take effect in the order in which they arrived.
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
  "HEAD connections/*": (call, id) => exists(call.hub.connections.has(id)),
  "HEAD groups/*": (call, group) => exists(call.hub.group(group).size > 0),
  "HEAD users/*": (call, user) => exists(call.hub.user(user).size > 0),
  "GET groups/*/connections": (call, group) => listConnections(call, group),
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
    theConnection(call, id).roles.add(role(call, permission));
    return DONE;
  },
  "DELETE permissions/*/connections/*": (call, permission, id) => {
    const name = role(call, permission);
    for (const connection of connectionNamed(call, id)) connection.roles.delete(name);
    return GONE;
  },
  "HEAD permissions/*/connections/*": (call, permission, id) => {
    const roles = call.hub.connections.get(id)?.roles;
    return exists(roles?.has(role(call, permission)) || roles?.has(`webpubsub.${permission}`) || false);
  },
  "POST :generateToken": generateToken,
};
const BY_SHAPE = new Map(Object.entries(HANDLERS));

/** Carries out one call; throws RestError. */
export function handleRest(call: RestCall): RestAnswer {
  const segments = call.path.split("/");
  // Words and names alternate; an action starts with a colon, which is encoded inside a name.
  const isWord = (segment: string, at: number) => at % 2 === 0 || segment.startsWith(":");
  const shape = segments.map((segment, at) => (isWord(segment, at) ? segment : "*")).join("/");
  const handler = BY_SHAPE.get(`${call.method} ${shape}`);
  if (!handler) throw new RestError(404, "NotFound", `There is no call ${call.method} ${shape} on a hub.`);
  const [first = "", second = ""] = segments.filter((segment, at) => !isWord(segment, at)).map(decodeName);
  return handler(call, first, second);
}

function decodeName(segment: string): string {
  try {
    const name = decodeURIComponent(segment);
    if (name !== "") return name;
  } catch {}
  throw new RestError(400, "BadRequest", `"${segment}" in the path is not a percent-encoded name.`);
}

function send(call: RestCall, targets: Iterable<Connection>): RestAnswer {
  const contentType = call.contentType.split(";")[0]!.trim().toLowerCase();
  const isBinary = contentType === "application/octet-stream";
  if (!isBinary && contentType !== "text/plain" && contentType !== "application/json") {
    const wanted = "text/plain, application/json or application/octet-stream";
    throw new RestError(415, "UnsupportedMediaType", `A message's Content-Type must be ${wanted}.`);
  }
  if (!isBinary && !isUtf8(call.body)) throw new RestError(400, "BadRequest", "The text is not UTF-8.");
  if (contentType === "application/json") parseJson(call.body);
  sendTo(targets, encodeFrame(call.body, isBinary), selection(call));
  return ACCEPTED;
}

function close(call: RestCall, targets: Iterable<Connection>): RestAnswer {
  const { excluded } = selection(call);
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
  const { groups, filter } = parseJson(call.body) as { groups?: unknown; filter?: unknown };
  if (!Array.isArray(groups) || !groups.every((group) => typeof group === "string" && group !== "")) {
    throw new RestError(400, "BadRequest", 'The body must hold "groups", a list of names.');
  }
  if (filter !== undefined && filter !== null && typeof filter !== "string") {
    throw new RestError(400, "BadRequest", '"filter" must be a string.');
  }
  const picks = compile(filter || null);
  for (const connection of call.hub.connections.values()) {
    if (picks?.(connection) === false) continue;
    for (const group of groups) change(connection, group);
  }
  return DONE;
}

/** A page in the order of connection ids; the continuation is the last id given, so pages survive changes. */
function listConnections({ hub, query, origin, path }: RestCall, group: string): RestAnswer {
  const top = positive(query, "top") ?? Number.MAX_SAFE_INTEGER;
  const size = Math.min(positive(query, "maxpagesize") ?? MAX_PAGE, MAX_PAGE, top);
  const after = query.get("continuationToken") ?? "";
  const members = [...hub.group(group)].filter(({ id }) => id > after);
  members.sort((a, b) => (a.id < b.id ? -1 : 1));
  const page = members.slice(0, size);
  const value = page.map(({ id, userId }) => ({ connectionId: id, userId }));
  if (members.length <= size || size === top) return { status: 200, body: { value } };
  const next = new URLSearchParams(query);
  next.set("continuationToken", page.at(-1)!.id);
  if (query.has("top")) next.set("top", String(top - size));
  return {
    status: 200,
    body: { value, nextLink: `${origin}/api/hubs/${encodeURIComponent(hub.name)}/${path}?${next}` },
  };
}

function generateToken({ hub, query, origin, tokens }: RestCall): RestAnswer {
  const minutes = positive(query, "minutesToExpire") ?? 60;
  const now = Math.floor(Date.now() / 1000);
  const userId = query.get("userId");
  const [roles, groups] = [query.getAll("role"), query.getAll("group")];
  const token = tokens.sign({
    ...(userId ? { sub: userId } : {}),
    ...(roles.length > 0 ? { role: roles } : {}),
    ...(groups.length > 0 ? { "webpubsub.group": groups } : {}),
    ...{ iat: now, nbf: now, exp: now + minutes * 60, aud: `${origin}/client/hubs/${hub.name}` },
  });
  return { status: 200, body: { token } };
}

function exists(found: boolean): RestAnswer {
  return { status: found ? 200 : 404 };
}

function connectionNamed({ hub }: RestCall, id: string): Connection[] {
  const connection = hub.connections.get(id);
  return connection ? [connection] : [];
}

function theConnection({ hub }: RestCall, id: string): Connection {
  const connection = hub.connections.get(id);
  if (!connection) throw new RestError(404, "Error.Connection.NotExisted", `There is no connection ${id}.`);
  return connection;
}

/** A permission is kept as the role that would grant it: `webpubsub.sendToGroup.G`. */
function role({ query }: RestCall, permission: string): string {
  if (permission !== "sendToGroup" && permission !== "joinLeaveGroup") {
    throw new RestError(400, "BadRequest", "A permission is sendToGroup or joinLeaveGroup.");
  }
  const target = query.get("targetName");
  return target ? `webpubsub.${permission}.${target}` : `webpubsub.${permission}`;
}

function selection({ query }: RestCall): Selection {
  return { excluded: new Set(query.getAll("excluded")), filter: compile(query.get("filter")) };
}

function compile(filter: string | null): Selection["filter"] {
  if (!filter) return undefined;
  try {
    return compileFilter(filter);
  } catch (error) {
    if (error instanceof FilterError) throw new RestError(400, "InvalidFilter", error.message);
    throw error;
  }
}

function positive(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new RestError(400, "BadRequest", `${name} must be a positive integer.`);
}

function parseJson(body: Buffer): object {
  try {
    const value: unknown = JSON.parse(body.toString());
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    throw new RestError(400, "BadRequest", "The body is not JSON.");
  }
}
