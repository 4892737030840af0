import type { Json } from "../client.js";
import {
  findRoom,
  longestStanding,
  type Member,
  type Message,
  type NamedUser,
  type Room,
  userOf,
  type World,
} from "./world.js";

/** What a user does: one HTTP call, or one SEND where it says so. */
export type Command =
  | {
      readonly does: "createGroup";
      readonly by: number;
      readonly name: string;
      readonly users: readonly number[];
    }
  | { readonly does: "openDirect"; readonly by: number; readonly other: number }
  | {
      readonly does: "invite";
      readonly by: number;
      readonly roomId: number;
      readonly users: readonly number[];
    }
  | { readonly does: "kick"; readonly by: number; readonly roomId: number; readonly user: number }
  | { readonly does: "leave"; readonly by: number; readonly roomId: number }
  | {
      readonly does: "send";
      readonly by: number;
      readonly roomId: number;
      readonly type: "TEXT" | "IMAGE";
      readonly content: string;
      readonly clientMessageId: string | number | null;
    }
  | {
      readonly does: "read";
      readonly by: number;
      readonly roomId: number;
      readonly messageId: number;
      readonly via: "PATCH" | "SEND";
    }
  | { readonly does: "delete"; readonly by: number; readonly roomId: number; readonly messageId: number }
  | { readonly does: "rename"; readonly by: number; readonly roomId: number; readonly name: string };

/**
 * The answer that is due, and what becomes of the world. A SEND that is accepted has no status and no body.
 */
export interface Outcome {
  readonly due: { readonly status?: number; readonly code?: string; readonly body?: Json };
  /** Set unless it is refused; takes the answer's body, for ids that the server chooses. */
  readonly change?: (body: Json) => void;
  /** The code that the sender hears when an accepted message is refused as it is stored. */
  readonly told?: string;
}

/** What a command must lead to in this world. Changes nothing before `change` is called. */
export function outcomeOf(world: World, command: Command): Outcome {
  const { by } = command;
  if (command.does === "createGroup") return createGroup(world, command);
  if (command.does === "openDirect") return openDirect(world, command);
  const room = findRoom(world, command.roomId);
  const bySend = command.does === "send" || (command.does === "read" && command.via === "SEND");
  // A SEND does not tell strangers which rooms there are.
  if (bySend && !room?.members.has(by)) return { due: { code: "NOT_A_MEMBER" } };
  const groupsOnly = command.does === "invite" || command.does === "kick" || command.does === "rename";
  if (!room || (groupsOnly && room.type !== "GROUP")) return refused(404, "ROOM_NOT_FOUND");
  const member = room.members.get(by);
  if (!member) return refused(403, "NOT_A_MEMBER");
  switch (command.does) {
    case "invite":
      return invite(world, room, command);
    case "kick":
      return kick(world, room, command);
    case "leave":
      return leave(world, room, by);
    case "send":
      return send(world, room, command);
    case "read":
      return read(world, room, member, command);
    case "delete":
      return deleteForMe(room, member, command);
    case "rename":
      return rename(world, room, command);
  }
}

type Of<Does extends Command["does"]> = Extract<Command, { readonly does: Does }>;

const refused = (status: number, code: string): Outcome => ({ due: { status, code } });

const newMember = (world: World, room?: Room): Member => {
  const lastSeq = room?.messages.length ?? 0;
  // A one-to-one room's history is whole, also for who comes back.
  return { joined: world.clock, joinedSeq: lastSeq, readSeq: lastSeq };
};

function newRoom(
  world: World,
  room: Pick<Room, "roomId" | "type" | "pair" | "name" | "creatorId">,
  users: readonly number[],
) {
  const members = new Map(users.map((userId) => [userId, newMember(world)]));
  world.rooms.push({ ...room, members, messages: [], activity: world.clock, deleted: new Map() });
}

function createGroup(world: World, { by, name, users }: Of<"createGroup">): Outcome {
  return {
    due: { status: 201 },
    change: ({ roomId }) =>
      newRoom(world, { roomId, type: "GROUP", pair: [], name: name.trim(), creatorId: by }, [by, ...users]),
  };
}

function openDirect(world: World, { by, other }: Of<"openDirect">): Outcome {
  if (by === other) return refused(400, "INVALID_REQUEST");
  const room = world.rooms.find(({ pair }) => pair.includes(by) && pair.includes(other));
  if (!room)
    return {
      due: { status: 201 },
      change: ({ roomId }) =>
        newRoom(world, { roomId, type: "ONE_TO_ONE", pair: [by, other], name: "", creatorId: by }, [
          by,
          other,
        ]),
    };
  return {
    due: { status: 200, body: { roomId: room.roomId } },
    change: () => {
      if (!room.members.has(by)) room.members.set(by, newMember(world, room));
    },
  };
}

function invite(world: World, room: Room, { by, users }: Of<"invite">): Outcome {
  const invited = [...new Set(users)].filter((userId) => !room.members.has(userId));
  return {
    due: { status: 200, body: { roomId: room.roomId, invited } },
    change: () => {
      for (const userId of invited) room.members.set(userId, newMember(world, room));
      if (invited.length > 0) announce(world, room, "SYSTEM_INVITE", by, invited);
    },
  };
}

function kick(world: World, room: Room, { by, user }: Of<"kick">): Outcome {
  if (room.creatorId !== by) return refused(403, "FORBIDDEN");
  if (user === by) return refused(400, "INVALID_REQUEST");
  if (!room.members.has(user)) return refused(404, "MEMBER_NOT_FOUND");
  return {
    due: { status: 200, body: { roomId: room.roomId, userId: user } },
    change: () => {
      room.members.delete(user);
      announce(world, room, "SYSTEM_KICK", by, [user]);
    },
  };
}

function leave(world: World, room: Room, by: number): Outcome {
  return {
    due: { status: 200, body: { roomId: room.roomId, userId: by } },
    change: () => {
      room.members.delete(by);
      if (room.type === "ONE_TO_ONE") return;
      if (room.creatorId === by) room.creatorId = longestStanding(room)[0]?.[0] ?? by;
      announce(world, room, "SYSTEM_LEAVE", by, [by]);
    },
  };
}

/** No more than three are invited by name. */
function listed(names: readonly string[]): string {
  const [others, parts] = [names.length - 3, names.slice(0, 3)];
  if (others > 0) parts.push(`${others} other${others > 1 ? "s" : ""}`);
  return parts.length === 1 ? parts[0]! : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

const SENTENCES: Record<string, (causer: string, target: string) => string> = {
  SYSTEM_INVITE: (causer, target) => `${causer} invited ${target}`,
  SYSTEM_LEAVE: (_causer, target) => `${target} left`,
  SYSTEM_KICK: (causer, target) => `${causer} removed ${target}`,
};

function announce(
  world: World,
  room: Room,
  type: string,
  senderId: number,
  userIds: readonly number[],
): void {
  const targets = userIds.map((userId): NamedUser => ({ userId, nickname: userOf(world, userId).nickname }));
  const target = targets[0]!;
  const content = SENTENCES[type]!(
    userOf(world, senderId).nickname,
    listed(targets.map(({ nickname }) => nickname)),
  );
  const more = type === "SYSTEM_INVITE" ? { target, targets } : { target };
  store(world, room, { senderId, type, content, clientMessageId: null, ...more });
}

function send(world: World, room: Room, { by, type, content, clientMessageId }: Of<"send">): Outcome {
  // With other content it is refused as it is stored; that is told, and changes nothing.
  const known =
    clientMessageId === null
      ? undefined
      : room.messages.find((one) => one.senderId === by && one.clientMessageId === clientMessageId);
  const isReused = known !== undefined && (known.content !== content || known.type !== type);
  return {
    due: {},
    ...(isReused ? { told: "CLIENT_MESSAGE_ID_REUSED" } : {}),
    change: () => {
      if (known) return;
      // A one-to-one room takes in again who has left it.
      for (const userId of room.pair)
        if (!room.members.has(userId)) room.members.set(userId, newMember(world, room));
      store(world, room, { senderId: by, type, content, clientMessageId });
    },
  };
}

/** Numbers a message. Its sender has read the room up to it. */
function store(world: World, room: Room, message: Omit<Message, "seq">): void {
  const seq = room.messages.length + 1;
  room.messages.push({ seq, ...message });
  room.activity = world.clock;
  const sender = room.members.get(message.senderId);
  if (sender) sender.readSeq = seq;
}

function read(world: World, room: Room, member: Member, { roomId, messageId, via }: Of<"read">): Outcome {
  const known = world.rooms.flatMap(({ messages }) => messages).some((one) => one.messageId === messageId);
  const own = room.messages.find((one) => one.messageId === messageId);
  const isBeyond = !known && messageId > (room.messages.at(-1)?.messageId ?? Number.POSITIVE_INFINITY);
  const seq = own?.seq ?? (isBeyond ? room.messages.length : 0);
  return {
    due: via === "SEND" ? {} : { status: 202, body: { roomId, messageId } },
    change: () => {
      member.readSeq = Math.max(member.readSeq, seq);
    },
  };
}

function deleteForMe(room: Room, member: Member, { by, roomId, messageId }: Of<"delete">): Outcome {
  const message = room.messages.find((one) => one.messageId === messageId);
  if (!message || (room.type === "GROUP" && message.seq <= member.joinedSeq))
    return refused(404, "MESSAGE_NOT_FOUND");
  return {
    due: { status: 200, body: { roomId, messageId } },
    change: () => {
      room.deleted.set(by, (room.deleted.get(by) ?? new Set()).add(message.seq));
    },
  };
}

function rename(world: World, room: Room, { by, roomId, name }: Of<"rename">): Outcome {
  const roomName = name.trim();
  return {
    due: { status: 200, body: { roomId, name: roomName, imageUrl: null } },
    change: () => {
      if (room.name === roomName) return;
      room.name = roomName;
      const content = `${userOf(world, by).nickname} renamed the group to ${roomName}`;
      store(world, room, { senderId: by, type: "SYSTEM_RENAME", content, clientMessageId: null, roomName });
    },
  };
}
