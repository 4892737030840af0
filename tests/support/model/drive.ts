import { expect } from "vitest";
import { call, type Json, newUsers, tokenFor, until } from "../client.js";
import { type Command, outcomeOf } from "./commands.js";
import { type LiveClient, liveClient, openRoom } from "./liveClient.js";
import {
  findRoom,
  historyOf,
  memberListOf,
  type Room,
  type User,
  userOf,
  visibleTo,
  type World,
} from "./world.js";

/** A world beside the real one, and the clients that are connected to that. */
export interface Run {
  readonly world: World;
  readonly clients: ReadonlyMap<number, LiveClient>;
  /** What was done: a failure prints it. */
  readonly log: string[];
}

const USERS = 6;

/** New users, the last one without a nickname, each with a connection. */
export async function startRun(): Promise<Run> {
  const users = await Promise.all(newUsers(USERS).map(newUser));
  const clients = await Promise.all(users.map(liveClient));
  return {
    world: { users, rooms: [], clock: 0 },
    clients: new Map(clients.map((client) => [client.user.userId, client])),
    log: [],
  };
}

export const endRun = ({ clients }: Run): Promise<unknown> =>
  Promise.all([...clients.values()].map((client) => client.close()));

export async function newUser(userId: number, index: number): Promise<User> {
  if (index === USERS - 1) return { userId, nickname: `User ${userId}`, token: await tokenFor(userId) };
  const nickname = `${"ABCDE"[index]}-${userId}`;
  return { userId, nickname, token: await tokenFor(userId, { nickname }) };
}

/**
 * Gives the real system a command, checks the answer, and waits until everybody can see what follows from it.
 */
export async function drive(run: Run, command: Command): Promise<void> {
  const { world, log } = run;
  world.clock += 1;
  log.push(JSON.stringify(command));
  const { due, change, told } = outcomeOf(world, command);
  const { errors } = run.clients.get(command.by)!;
  const heard = errors.length;
  const known = "roomId" in command ? findRoom(world, command.roomId) : undefined;
  const before = new Set(known?.members.keys());
  const answer = await answerOf({ ...run, users: world.users }, command);
  expect(answer, `the answer to ${JSON.stringify(command)}`).toEqual({ body: answer.body, ...due });
  if (!change) return;
  change(answer.body);
  if (told !== undefined)
    await until(
      () => errors.slice(heard).some(({ code }) => code === told),
      `user ${command.by} hears ${told}`,
    );
  const room = known ?? world.rooms.find(({ roomId }) => roomId === answer.body?.roomId);
  if (!room) return;
  for (const userId of before) if (!room.members.has(userId)) endSubscription(run, room, userId, command);
  await isStored(world, room);
  if (command.does === "read") await isRead(world, room, command.by);
  // After that, because a one-to-one room takes in again who had left it only when the message is stored.
  for (const userId of room.members.keys()) await subscribeOnce(run, room, userId);
}

const ROUTES: {
  [Does in Exclude<Command["does"], "send">]: (
    command: Extract<Command, { readonly does: Does }>,
  ) => readonly [method: string, path: string, body?: Json];
} = {
  createGroup: ({ name, users }) => ["POST", "/group-rooms", { roomName: name, userIds: users }],
  openDirect: ({ other }) => ["POST", "/rooms", { targetUserId: other }],
  invite: ({ roomId, users }) => ["POST", `/group-rooms/${roomId}/invite`, { userIds: users }],
  kick: ({ roomId, user }) => ["DELETE", `/group-rooms/${roomId}/members/${user}`],
  leave: ({ roomId }) => ["DELETE", `/rooms/${roomId}`],
  read: ({ roomId, messageId }) => ["PATCH", `/rooms/${roomId}/read?messageId=${messageId}`],
  delete: ({ roomId, messageId }) => ["DELETE", `/rooms/${roomId}/messages/${messageId}`],
  rename: ({ roomId, name }) => ["PATCH", `/group-rooms/${roomId}`, { name }],
};

/** Performs a command: its HTTP call, or its SEND. */
export async function answerOf(
  { users, clients }: Pick<World, "users"> & Pick<Run, "clients">,
  command: Command,
): Promise<{ status?: number; code?: string; body?: Json }> {
  const client = clients.get(command.by)!;
  if (command.does === "send") {
    const { roomId, type, content, clientMessageId } = command;
    return client.send("/pub/chat/message", {
      roomId,
      content,
      type,
      ...(clientMessageId === null ? {} : { clientMessageId }),
    });
  }
  if (command.does === "read" && command.via === "SEND")
    return client.send("/pub/chat/read", { roomId: command.roomId, messageId: command.messageId });
  // biome-ignore lint/suspicious/noExplicitAny: the route of a command takes that command
  const [method, path, body] = (ROUTES[command.does] as (command: any) => readonly [string, string, Json?])(
    command,
  );
  const answer = await call(method, path, userOf({ users }, command.by).token, body);
  const { code } = answer.body ?? {};
  return { status: answer.status, body: answer.body, ...(code === undefined ? {} : { code }) };
}

/** Waits until the world's last message of a room is stored, and learns what the server gave the new ones. */
async function isStored(world: World, room: Room): Promise<void> {
  const unknown = room.messages.filter(({ messageId }) => messageId === undefined);
  const viewer = [...room.members.keys()].find((userId) =>
    unknown.every((message) => visibleTo(room, userId).includes(message)),
  );
  // A group that the last one has left is nobody's any more.
  if (unknown.length === 0 || viewer === undefined) return;
  const after = unknown[0]!.seq - 1;
  const path = `/rooms/${room.roomId}/messages?after=${after}`;
  let stored: Json[] = [];
  await until(
    async () => {
      stored = (await call("GET", path, userOf(world, viewer).token)).body.messages ?? [];
      return stored.length >= unknown.length;
    },
    `messages ${after + 1} to ${room.messages.length} of room ${room.roomId}`,
  );
  for (const [index, message] of unknown.entries()) {
    message.messageId = stored[index].messageId;
    message.sentAt = stored[index].sentAt;
  }
}

/**
 * Waits until a member's position is where it must be. A group's list of members says it. A one-to-one room
 * has no list: there the counts of its messages say it, as both users see them.
 */
async function isRead(world: World, room: Room, userId: number): Promise<void> {
  const { token } = userOf(world, userId);
  const position = async (): Promise<boolean> => {
    const { members } = (await call("GET", `/group-rooms/${room.roomId}/members`, token)).body;
    const own = memberListOf(world, room).find((one) => one.userId === userId);
    const found = members.find((one: Json) => one.userId === userId);
    return found?.lastReadMessageId === own.lastReadMessageId;
  };
  const counts = async (viewer: number): Promise<boolean> => {
    const path = `/rooms/${room.roomId}/messages?limit=100`;
    const { messages } = (await call("GET", path, userOf(world, viewer).token)).body;
    const due = historyOf(world, room, viewer).toReversed();
    return messages.every(({ unreadCount }: Json, index: number) => unreadCount === due[index]?.unreadCount);
  };
  await until(
    async () =>
      room.type === "GROUP"
        ? position()
        : (await Promise.all([...room.members.keys()].map(counts))).every((one) => one),
    `user ${userId} at ${room.members.get(userId)!.readSeq} in room ${room.roomId}`,
  );
}

async function subscribeOnce(run: Run, room: Room, userId: number): Promise<void> {
  if (openRoom(run.clients.get(userId)!, room.roomId)) return;
  const subscribed = await run.clients.get(userId)!.subscribe(room.roomId);
  expect(subscribed, `user ${userId} subscribes to room ${room.roomId}`).toBeDefined();
  subscribed!.subscribedAt = room.messages.length;
}

/** In a group the last message announces the removal, so it must not have come. */
function endSubscription(run: Run, room: Room, userId: number, { does }: Command): void {
  const live = openRoom(run.clients.get(userId)!, room.roomId);
  if (live) live.endedAt = room.messages.length - (room.type === "GROUP" ? 1 : 0);
  else run.log.push(`(user ${userId} had no subscription at ${does})`);
}
