import type { Json } from "../client.js";

/** The chat system as plain lists and maps: what every user must see once nothing is under way. */
export interface World {
  readonly users: readonly User[];
  readonly rooms: Room[];
  /** Counts the commands; later is larger. */
  clock: number;
}

export interface User {
  readonly userId: number;
  /** As others see it: a user without a nickname is called by the id. */
  readonly nickname: string;
  readonly token: string;
}

export interface Room {
  readonly roomId: number;
  readonly type: "GROUP" | "ONE_TO_ONE";
  /** The two users of a one-to-one room, members or not; empty for a group. */
  readonly pair: readonly number[];
  name: string;
  creatorId: number;
  readonly members: Map<number, Member>;
  /** The message with `seq` n is at n - 1. */
  readonly messages: Message[];
  /** When it was made, or its last message was sent. */
  activity: number;
  /** The seqs of what users deleted for themselves, by user. */
  readonly deleted: Map<number, Set<number>>;
}

export interface Member {
  readonly joined: number;
  /** The room's last seq at that time. */
  readonly joinedSeq: number;
  readSeq: number;
}

export interface Message {
  readonly seq: number;
  readonly senderId: number;
  readonly type: string;
  readonly content: string;
  readonly clientMessageId: string | number | null;
  readonly target?: NamedUser;
  readonly targets?: readonly NamedUser[];
  readonly roomName?: string;
  /** What the server alone decides, filled in when the message is first seen. */
  messageId?: number;
  sentAt?: string;
}

export interface NamedUser {
  readonly userId: number;
  readonly nickname: string;
}

export const isSystem = ({ type }: Pick<Message, "type">): boolean => type.startsWith("SYSTEM_");

export const userOf = ({ users }: Pick<World, "users">, userId: number): User =>
  users.find((user) => user.userId === userId)!;

export const findRoom = (world: World, roomId: number): Room | undefined =>
  world.rooms.find((room) => room.roomId === roomId);

export const roomsOf = (world: World, userId: number): readonly Room[] =>
  world.rooms.filter(({ members }) => members.has(userId));

/** How many members have not read a message; a system message waits for nobody. */
export const unreadCount = (room: Room, message: Message): number =>
  isSystem(message) ? 0 : [...room.members.values()].filter(({ readSeq }) => readSeq < message.seq).length;

/** How many messages a member has not read: no system messages, and none that they have deleted. */
const unreadOf = (room: Room, userId: number): number =>
  room.messages
    .slice(room.members.get(userId)!.readSeq)
    .filter((message) => !isSystem(message) && !room.deleted.get(userId)?.has(message.seq)).length;

/** What a member may see of a room's messages, oldest first. */
export function visibleTo(room: Room, userId: number): readonly Message[] {
  const from = room.type === "GROUP" ? room.members.get(userId)!.joinedSeq : 0;
  return room.messages.filter(({ seq }) => seq > from && !room.deleted.get(userId)?.has(seq));
}

/** `GET /rooms` in one page. */
export function roomListOf(world: World, userId: number): Json[] {
  const latestFirst = roomsOf(world, userId).toSorted((a, b) => b.activity - a.activity);
  return latestFirst.map((room) => {
    const last = visibleTo(room, userId).at(-1);
    const other = room.pair.find((one) => one !== userId);
    return {
      roomId: room.roomId,
      type: room.type,
      name: other === undefined ? room.name : userOf(world, other).nickname,
      imageUrl: null,
      memberCount: room.members.size,
      unreadCount: unreadOf(room, userId),
      lastMessage: last
        ? {
            messageId: last.messageId,
            seq: last.seq,
            content: last.content,
            type: last.type,
            sentAt: last.sentAt,
            senderId: last.senderId,
            senderNickname: userOf(world, last.senderId).nickname,
            ...(last.target && { target: last.target }),
            ...(last.targets && { targets: last.targets.slice(0, 3) }),
            ...(last.roomName !== undefined && { roomName: last.roomName }),
          }
        : null,
    };
  });
}

/** `GET /rooms/{roomId}/messages`, all of it, oldest first. */
export function historyOf(world: World, room: Room, userId: number): Json[] {
  return visibleTo(room, userId).map((message) => ({
    ...message,
    roomId: room.roomId,
    senderNickname: userOf(world, message.senderId).nickname,
    unreadCount: unreadCount(room, message),
  }));
}

/** `GET /group-rooms/{roomId}/members` without `joinedAt`: by the time they came, then by id. */
export function memberListOf(world: World, room: Room): Json[] {
  return longestStanding(room).map(([userId, { readSeq }]) => ({
    userId,
    nickname: userOf(world, userId).nickname,
    profileImageUrl: null,
    isCreator: userId === room.creatorId,
    isAwaited: false,
    lastReadMessageId: room.messages[readSeq - 1]?.messageId ?? null,
  }));
}

export const longestStanding = (room: Room): readonly (readonly [number, Member])[] =>
  [...room.members].sort(([a, first], [b, second]) => first.joined - second.joined || a - b);
