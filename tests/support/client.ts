import { Client, type IFrame, type IMessage, type StompConfig, Versions } from "@stomp/stompjs";
import { SignJWT } from "jose";
import { inject } from "vitest";
import WebSocket from "ws";
import settings from "../../local.settings.example.json" with { type: "json" };
import { checkerOfApi } from "./openApi.js";
import { PATIENCE_MS } from "./patience.js";
import type { Addresses } from "./stack.js";

const { AUTH_JWT_SECRET, AUTH_ISSUER, AUTH_AUDIENCE } = settings.Values;
const PREFIX = "/api/v1/chat";

/** Parts of a token that a test wants otherwise; `null` leaves a claim out. */
export interface TokenParts {
  readonly nickname?: string;
  readonly issuer?: string;
  readonly audience?: string;
  readonly secret?: string;
  readonly subject?: string;
  readonly expiresIn?: number | null;
  readonly scope?: string;
}

/** A JWT of the local identity provider. */
export function tokenFor(userId: number, parts: TokenParts = {}): Promise<string> {
  const { nickname, scope } = parts;
  const token = new SignJWT({ ...(nickname === undefined ? {} : { nickname }), ...(scope && { scope }) })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(parts.subject ?? String(userId))
    .setIssuer(parts.issuer ?? AUTH_ISSUER)
    .setAudience(parts.audience ?? AUTH_AUDIENCE);
  if (parts.expiresIn !== null)
    token.setExpirationTime(Math.floor(Date.now() / 1_000) + (parts.expiresIn ?? 3_600));
  return token.sign(new TextEncoder().encode(parts.secret ?? AUTH_JWT_SECRET));
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into whatever the service answers
export type Json = any;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Json;
}

/**
 * An HTTP call of a user, its body and answer as JSON. Throws when the call or its answer differs from the
 * API's OpenAPI document.
 */
export async function call(
  method: string,
  path: string,
  caller: number | string | undefined,
  body?: unknown,
  stack: Pick<Addresses, "api"> = inject("stack"),
  more: Readonly<Record<string, string>> = {},
): Promise<HttpAnswer> {
  const token = typeof caller === "number" ? await tokenFor(caller) : caller;
  const response = await fetch(`${stack.api}${PREFIX}${path}`, {
    method,
    headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...more },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const { status, headers } = response;
  const text = await response.text();
  const answer = { status, headers, body: text === "" ? undefined : JSON.parse(text) };
  const check = await checkerOfApi(`${stack.api}${PREFIX}`);
  check(
    {
      method,
      path,
      hasToken: token !== undefined,
      headers: more,
      body: typeof body === "string" ? jsonOf(body) : body,
    },
    { status, contentType: headers.get("content-type"), body: answer.body },
  );
  return answer;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const introduced = new Set<string>();
const AT_ONCE = 20;

/**
 * Has users come for the first time, by a call each: the service does not count members who have never come.
 */
export async function introduce(
  users: readonly number[],
  stack: Pick<Addresses, "api"> = inject("stack"),
): Promise<void> {
  const strangers = users.filter((userId) => !introduced.has(`${stack.api} ${userId}`));
  for (let first = 0; first < strangers.length; first += AT_ONCE)
    await Promise.all(
      strangers.slice(first, first + AT_ONCE).map(async (userId) => {
        const { status } = await call("GET", "/rooms?limit=1", userId, undefined, stack);
        if (status !== 200) throw new Error(`user ${userId} could not come: ${status}`);
        introduced.add(`${stack.api} ${userId}`);
      }),
    );
}

/** Makes a group of these users, who have been here, the first being its creator. */
export async function makeRoom(users: readonly number[], stack?: Pick<Addresses, "api">): Promise<number> {
  await introduce(users, stack);
  const made = await call(
    "POST",
    "/group-rooms",
    users[0],
    { roomName: "room", userIds: users.slice(1) },
    stack,
  );
  if (made.status !== 201) throw new Error(`no room: ${made.status} ${JSON.stringify(made.body)}`);
  return made.body.roomId;
}

/** The whole history of a room, oldest first, page by page. */
export async function history(
  roomId: number,
  caller: number,
  stack?: Pick<Addresses, "api">,
): Promise<Json[]> {
  const messages = [];
  for (let after = 0; ; after = messages.at(-1).seq) {
    const page = await call(
      "GET",
      `/rooms/${roomId}/messages?after=${after}&limit=100`,
      caller,
      undefined,
      stack,
    );
    messages.push(...page.body.messages);
    if (page.body.messages.length < 100) return messages;
  }
}

/** The id of the last message that a member of a group has read, as the service tells it. */
export async function positionOf(roomId: number, member: number): Promise<number | null> {
  const { body } = await call("GET", `/group-rooms/${roomId}/members`, member);
  return body.members.find(({ userId }: Json) => userId === member).lastReadMessageId;
}

let users = 1_000_000 + Math.floor(Math.random() * 1_000_000) * 1_000;

/** User ids that no other test has. */
export function newUsers(count: number): number[] {
  return Array.from({ length: count }, () => ++users);
}

/** A stock STOMP client, connected. */
export interface Connected {
  readonly client: Client;
  /** Resolves with the RECEIPT of a SEND to a room, rejects with the ERROR frame. */
  say(roomId: number, content: string, more?: object): Promise<void>;
  /** Resolves when the subscription's receipt is there; messages collect in the array it returns. */
  subscribe(destination: string, headers?: Record<string, string>): Promise<Json[]>;
  readonly errors: IFrame[];
  close(): Promise<void>;
}

let receipts = 0;

/** Connects with `@stomp/stompjs` over a real socket. */
export async function connect(
  userId: number,
  options: { version?: string; stack?: Addresses; nickname?: string; config?: StompConfig } = {},
): Promise<Connected> {
  const address = (options.stack ?? inject("stack")).webPubSub;
  const token = await tokenFor(userId, options.nickname === undefined ? {} : { nickname: options.nickname });
  const errors: IFrame[] = [];
  const waiting = new Map<string, { resolve: () => void; reject: (error: Error) => void }>();
  const client = new Client({
    webSocketFactory: () => new WebSocket(`${address}?token=${token}`, protocolsOf(options.version)),
    stompVersions: new Versions(options.version ? [options.version] : ["1.2", "1.1", "1.0"]),
    reconnectDelay: 0,
    heartbeatIncoming: 0,
    heartbeatOutgoing: 0,
    ...options.config,
  } as StompConfig);
  const failAll = (why: string): void => {
    for (const { reject } of waiting.values()) reject(new Error(why));
    waiting.clear();
  };
  client.onStompError = (frame) => {
    errors.push(frame);
    failAll(`ERROR ${frame.body}`);
  };
  client.onWebSocketClose = () => failAll("closed");
  await new Promise<void>((resolve, reject) => {
    client.onConnect = () => resolve();
    client.onWebSocketError = (event: { message?: string }) =>
      reject(new Error(`no connection: ${event.message}`));
    waiting.set("connecting", { resolve, reject });
    client.activate();
  });
  waiting.delete("connecting");
  const receipt = (start: (id: string) => void): Promise<void> => {
    const id = `receipt-${++receipts}`;
    return new Promise<void>((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      client.watchForReceipt(id, () => {
        waiting.delete(id);
        resolve();
      });
      start(id);
    });
  };
  return {
    client,
    errors,
    say: (roomId, content, more = {}) =>
      receipt((id) =>
        client.publish({
          destination: "/pub/chat/message",
          body: JSON.stringify({ roomId, content, ...more }),
          headers: { receipt: id },
        }),
      ),
    async subscribe(destination, headers = {}) {
      const messages: unknown[] = [];
      const take = (message: IMessage): void => void messages.push(JSON.parse(message.body));
      await receipt((id) => client.subscribe(destination, take, { ...headers, receipt: id }));
      return messages;
    },
    close: () => client.deactivate(),
  };
}

const protocolsOf = (version?: string): string[] =>
  version ? [`v${version.replace(".", "")}.stomp`] : ["v12.stomp", "v11.stomp", "v10.stomp"];

/** Waits until something holds, looking every 20 ms. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  ms = PATIENCE_MS,
): Promise<void> {
  const end = Date.now() + ms;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`did not happen within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Writes `count` numbered messages into a room, and returns when all are stored in their order. */
export async function fill(roomId: number, writer: number, count: number): Promise<void> {
  const client = await connect(writer, { nickname: "Ann" });
  const sent = Array.from({ length: count }, (_, index) => client.say(roomId, `message ${index + 1}`));
  await Promise.all(sent);
  await client.close();
  await until(async () => {
    const page = await call("GET", `/rooms/${roomId}/messages?limit=1`, writer);
    return page.body.messages[0]?.seq === count;
  }, "all are stored");
}
