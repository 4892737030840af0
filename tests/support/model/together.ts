import { expect } from "vitest";
import { call, type Json, newUsers } from "../client.js";
import type { Act } from "./acts.js";
import type { Command } from "./commands.js";
import { answerOf, newUser } from "./drive.js";
import { type LiveClient, liveClient, moveTo } from "./liveClient.js";
import { type User, userOf } from "./world.js";

/** What several users have done at the same time, as far as it was accepted: all that must be found again. */
export interface Together {
  /** The first one acts only where it must: it is in every group, so that somebody sees all of it. */
  readonly users: readonly User[];
  readonly clients: ReadonlyMap<number, LiveClient>;
  readonly rooms: SharedRoom[];
  /** What was done: a failure prints it. */
  readonly log: string[];
  /** Each user's acts, one behind the other. */
  readonly queues: Map<number, Promise<void>>;
  readonly failures: unknown[];
}

export interface SharedRoom {
  readonly roomId: number;
  readonly type: "GROUP" | "ONE_TO_ONE";
  /** Members from the beginning. */
  readonly first: readonly number[];
  /** Every SEND, refused or not: a repeat may meet another membership than the first. */
  readonly sent: Sent[];
  readonly changes: Change[];
  /** A user has read at least up to this message. */
  readonly read: { readonly userId: number; readonly messageId: number }[];
  /** Who has ever left a one-to-one room. */
  readonly leavers: Set<number>;
}

export interface Sent {
  readonly userId: number;
  readonly clientMessageId: string;
  readonly content: string;
}

/** What must be announced, once. */
export interface Change {
  readonly type: "SYSTEM_INVITE" | "SYSTEM_LEAVE" | "SYSTEM_KICK";
  readonly senderId: number;
  readonly userId: number;
}

const USERS = 6;

/** Six users with connections, two groups and a one-to-one room. */
export async function startTogether(): Promise<Together> {
  const users = await Promise.all(newUsers(USERS).map(newUser));
  const clients = await Promise.all(users.map(liveClient));
  const together: Together = {
    users,
    clients: new Map(clients.map((client) => [client.user.userId, client])),
    rooms: [],
    log: [],
    queues: new Map(users.map(({ userId }) => [userId, Promise.resolve()])),
    failures: [],
  };
  const [observer, a, b, c, d] = users.map(({ userId }) => userId) as [
    number,
    number,
    number,
    number,
    number,
  ];
  await makeGroup(together, a, [observer, b, c, d]);
  await makeGroup(together, b, [observer, a]);
  await openDirect(together, c, d);
  await idle(together);
  return together;
}

export const endTogether = ({ clients }: Together): Promise<unknown> =>
  Promise.all([...clients.values()].map((client) => client.close()));

/** Waits until everybody has done everything; throws the first failure. */
export async function idle({ queues, failures }: Together): Promise<void> {
  for (let before: Promise<void>[] = []; ; ) {
    const now = [...queues.values()];
    if (now.every((queue, index) => queue === before[index])) break;
    before = now;
    await Promise.all(now);
  }
  if (failures.length > 0) throw failures[0];
}

function enqueue({ queues, failures }: Together, userId: number, work: () => Promise<void>): void {
  const done = queues.get(userId)!.then(work);
  queues.set(
    userId,
    done.catch((error: unknown) => void failures.push(error)),
  );
}

/** Begins an act behind the others of its user; several users' acts run at the same time. */
export function begin(together: Together, act: Act, count: number): void {
  // The observer doesn't act.
  const [, ...acting] = together.users.map(({ userId }) => userId);
  const [by, other, another] = [act.by, act.other, act.other + act.count].map(
    (n) => acting[n % acting.length]!,
  );
  const room = together.rooms[act.room % together.rooms.length]!;
  const work: Record<Act["does"], () => Promise<void>> = {
    burst: () => burst(together, room, by!, act, count),
    read: () => read(together, room, by!, act),
    invite: () => invite(together, room, by!, [other!, another!]),
    kick: () => kick(together, room, other!),
    leave: () => leave(together, room, by!),
    openDirect: () => openDirect(together, by!, other!),
    subscribe: () => subscribe(together, room, by!),
  };
  enqueue(together, by!, work[act.does]);
}

/**
 * Gives a command. Its answer must be an acceptance or one of `refusals`, which others' acts at the same time
 * may cause. Returns the body of an acceptance.
 */
async function attempt(
  together: Together,
  command: Command,
  refusals: readonly string[],
): Promise<Json | undefined> {
  const { status = 202, code, body } = await answerOf(together, command);
  together.log.push(`${JSON.stringify(command)} -> ${status} ${code ?? JSON.stringify(body)}`);
  if (code === undefined && status < 300) return body ?? {};
  expect(refusals, `the answer to ${JSON.stringify(command)}`).toContain(code ?? `status ${status}`);
  return undefined;
}

async function makeGroup(together: Together, by: number, users: readonly number[]): Promise<void> {
  const { roomId } = await attempt(together, { does: "createGroup", by, name: "group", users }, []);
  const room = newRoom(roomId, "GROUP", [by, ...users]);
  together.rooms.push(room);
  for (const userId of room.first) subscribeLater(together, room, userId);
}

async function openDirect(together: Together, by: number, other: number): Promise<void> {
  if (by === other) return;
  const { roomId } = await attempt(together, { does: "openDirect", by, other }, []);
  let room = together.rooms.find((one) => one.roomId === roomId);
  if (!room) {
    room = newRoom(roomId, "ONE_TO_ONE", [by, other]);
    together.rooms.push(room);
    for (const userId of room.first) subscribeLater(together, room, userId);
  }
  expect([...room.first].sort(), `the pair of room ${roomId}`).toEqual([by, other].sort());
}

const newRoom = (roomId: number, type: SharedRoom["type"], first: readonly number[]): SharedRoom => ({
  roomId,
  type,
  first,
  sent: [],
  changes: [],
  read: [],
  leavers: new Set(),
});

/** A new subscription behind what the user does already. */
const subscribeLater = (together: Together, room: SharedRoom, userId: number): void =>
  enqueue(together, userId, () => subscribe(together, room, userId));

/** A new subscription, where the user is a member by then, and the positions to count from. */
async function subscribe(together: Together, { roomId, type }: SharedRoom, userId: number): Promise<void> {
  const live = await together.clients.get(userId)!.subscribe(roomId);
  if (!live) return;
  // Who has just come may see no message yet, but the observer does.
  const viewer = type === "GROUP" ? together.users[0]!.userId : userId;
  live.subscribedAt = (await lastMessage(together, roomId, viewer))?.seq ?? 0;
  const { body } = await call("GET", `/group-rooms/${roomId}/members`, userOf(together, userId).token);
  for (const one of body.members ?? [])
    if (one.lastReadMessageId !== null) moveTo(live, one.userId, one.lastReadMessageId);
}

/** The room's last message as a user sees it. */
async function lastMessage(together: Together, roomId: number, userId: number): Promise<Json | undefined> {
  const { token } = userOf(together, userId);
  return (await call("GET", `/rooms/${roomId}/messages?limit=1`, token)).body.messages?.[0];
}

/** Several messages without waiting for the receipt of the one before; the last one twice where `again`. */
async function burst(
  together: Together,
  room: SharedRoom,
  by: number,
  act: Act,
  count: number,
): Promise<void> {
  const { roomId } = room;
  const contents = Array.from({ length: 1 + act.count }, (_, index) => `${count}.${index}`);
  if (act.again) contents.push(contents.at(-1)!);
  await Promise.all(
    contents.map(async (content) => {
      const clientMessageId = `${by} ${content}`;
      const command = { does: "send", by, roomId, type: "TEXT", content, clientMessageId } as const;
      room.sent.push({ userId: by, clientMessageId, content });
      await attempt(together, command, ["NOT_A_MEMBER"]);
    }),
  );
}

async function read(together: Together, room: SharedRoom, by: number, act: Act): Promise<void> {
  const last = await lastMessage(together, room.roomId, by);
  const older = last && act.again ? await olderThan(together, room.roomId, by, last.seq) : undefined;
  const messageId = (older ?? last)?.messageId;
  if (messageId === undefined) return;
  const via = act.other % 2 === 0 ? "PATCH" : "SEND";
  const isBeyond = act.count === 3;
  const command = {
    does: "read",
    by,
    roomId: room.roomId,
    via,
    messageId: isBeyond ? 2 ** 45 : messageId,
  } as const;
  if (await attempt(together, command, ["NOT_A_MEMBER"])) room.read.push({ userId: by, messageId });
}

async function olderThan(
  together: Together,
  roomId: number,
  userId: number,
  seq: number,
): Promise<Json | undefined> {
  const { token } = userOf(together, userId);
  return (await call("GET", `/rooms/${roomId}/messages?limit=3&before=${seq}`, token)).body.messages?.at(-1);
}

async function leave(together: Together, room: SharedRoom, by: number): Promise<void> {
  if (!(await attempt(together, { does: "leave", by, roomId: room.roomId }, ["NOT_A_MEMBER"]))) return;
  if (room.type === "GROUP") room.changes.push({ type: "SYSTEM_LEAVE", senderId: by, userId: by });
  else room.leavers.add(by);
}

async function invite(
  together: Together,
  room: SharedRoom,
  by: number,
  users: readonly number[],
): Promise<void> {
  const command = { does: "invite", by, roomId: room.roomId, users } as const;
  const body = await attempt(together, command, ["NOT_A_MEMBER", "ROOM_NOT_FOUND"]);
  for (const userId of body?.invited ?? []) {
    room.changes.push({ type: "SYSTEM_INVITE", senderId: by, userId });
    subscribeLater(together, room, userId);
  }
}

/** Kicks a user, as the creator of this moment: the observer in the end. */
async function kick(together: Together, room: SharedRoom, user: number): Promise<void> {
  if (room.type !== "GROUP") return;
  const { token } = together.users[0]!;
  const { members } = (await call("GET", `/group-rooms/${room.roomId}/members`, token)).body;
  const creators = members.filter(({ isCreator }: Json) => isCreator);
  expect(creators, `the creator, at any time, in ${JSON.stringify(members)}`).toHaveLength(1);
  const by = creators[0].userId;
  const command = { does: "kick", by, roomId: room.roomId, user } as const;
  const refusals = ["FORBIDDEN", "NOT_A_MEMBER", "MEMBER_NOT_FOUND", "INVALID_REQUEST"];
  if (await attempt(together, command, refusals))
    room.changes.push({ type: "SYSTEM_KICK", senderId: by, userId: user });
}
