import fc from "fast-check";
import type { Command } from "./commands.js";
import { findRoom, type Room, type World } from "./world.js";

/**
 * A command before the world is known: numbers pick among its users, rooms and messages. Numbers shrink well.
 */
export interface Step {
  readonly does: Command["does"];
  /** Who: of those who may, or, `asStranger`, of those who may not. */
  readonly by: number;
  readonly asStranger: boolean;
  readonly room: number;
  readonly users: readonly number[];
  /**
   * Which of the room's messages, counted from the newest; an id of another room; or an id that no room has
   * yet.
   */
  readonly message: number | "elsewhere" | "beyond";
  readonly via: "PATCH" | "SEND";
  readonly clientMessageId: string | number | null;
  readonly text: string;
}

const rarely = (oneIn: number): fc.Arbitrary<boolean> => fc.nat(oneIn - 1).map((n) => n === oneIn - 1);
const number = fc.nat(11);

const does = fc.oneof(
  { weight: 9, arbitrary: fc.constant<Command["does"]>("send") },
  { weight: 7, arbitrary: fc.constant<Command["does"]>("read") },
  {
    weight: 3,
    arbitrary: fc.constantFrom<Command["does"][]>(
      "invite",
      "leave",
      "kick",
      "openDirect",
      "delete",
      "leave",
      "openDirect",
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom<Command["does"][]>("createGroup", "rename", "kick", "invite") },
);

const step: fc.Arbitrary<Step> = fc.record({
  does,
  by: number,
  asStranger: rarely(10),
  room: number,
  users: fc.array(number, { minLength: 1, maxLength: 4 }),
  message: fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 5, arbitrary: number },
    { weight: 1, arbitrary: fc.constantFrom<Step["message"][]>("elsewhere", "beyond") },
    { weight: 1, arbitrary: fc.constant<Step["message"]>("beyond") },
  ),
  via: fc.constantFrom("PATCH", "SEND"),
  // Few, so that repeats come by themselves.
  clientMessageId: fc.oneof(fc.constant(null), fc.constantFrom<(string | number)[]>("a", "b", "5", 5)),
  text: fc.constantFrom("A", "방 2", "  b ", "🚀", "it's \"%\\ \n x"),
});

export const steps: fc.Arbitrary<readonly Step[]> = fc.array(step, { maxLength: 45, size: "max" });

/** An id that no message of the whole stack has. */
const BEYOND = 2 ** 45;
const NO_ROOM = 2 ** 46;

const pick = <T>(list: readonly T[], n: number): T | undefined => list[n % list.length];

/** The command that a step stands for in this world, if it makes sense there. `count` makes texts unique. */
export function commandOf(step: Step, world: World, count: number): Command | undefined {
  const ids = world.users.map(({ userId }) => userId);
  const users = step.users.map((n) => pick(ids, n)!);
  const anyone = pick(ids, step.by)!;
  if (step.does === "createGroup") return { does: "createGroup", by: anyone, name: step.text, users };
  if (step.does === "openDirect") return { does: "openDirect", by: anyone, other: users[0]! };
  const room = pick(world.rooms, step.room);
  const roomId = room && !(step.asStranger && step.room === 11) ? room.roomId : NO_ROOM;
  const members = [...(room?.members.keys() ?? [])];
  const allowed =
    step.does === "kick" && step.by % 4 !== 3 ? members.filter((id) => id === room?.creatorId) : members;
  const by = pick(
    step.asStranger || allowed.length === 0 ? ids.filter((id) => !members.includes(id)) : allowed,
    step.by,
  );
  if (by === undefined) return undefined;
  switch (step.does) {
    case "invite":
      return { does: "invite", by, roomId, users };
    case "kick":
      return {
        does: "kick",
        by,
        roomId,
        user: step.users.length === 4 ? users[0]! : (pick(members, step.users[0]!) ?? by),
      };
    case "leave":
      return { does: "leave", by, roomId };
    case "send": {
      const { clientMessageId } = step;
      const before = room?.messages.find(
        (one) => one.senderId === by && one.clientMessageId === clientMessageId && clientMessageId !== null,
      );
      // As an outbox repeats it; otherwise the id is taken for something else by mistake.
      if (before && step.via === "SEND")
        return {
          does: "send",
          by,
          roomId,
          type: before.type as "TEXT",
          content: before.content,
          clientMessageId,
        };
      const isImage = step.users.length === 4;
      const content = isImage ? `https://example.org/${count}.png` : `${step.text}${count}`;
      return { does: "send", by, roomId, type: isImage ? "IMAGE" : "TEXT", content, clientMessageId };
    }
    case "rename":
      return { does: "rename", by, roomId, name: step.text };
    default: {
      const messageId = messageOf(step, world, roomId, by);
      if (messageId === undefined) return undefined;
      if (step.does === "delete") return { does: "delete", by, roomId, messageId };
      return { does: "read", by, roomId, messageId, via: step.via };
    }
  }
}

function messageOf({ does, message }: Step, world: World, roomId: number, by: number): number | undefined {
  const room = findRoom(world, roomId);
  if (message === "elsewhere" || !room) return newestOf(world.rooms.find((one) => one !== room));
  if (room.messages.length === 0) return undefined;
  const seen = room.members.get(by)?.readSeq === room.messages.length;
  // Such a read means the room's last message at the time it is stored. With nothing left to read it could
  // overtake the next message.
  if (message === "beyond") return seen && does === "read" ? newestOf(room) : BEYOND;
  return room.messages.at(-1 - (message % room.messages.length))?.messageId;
}

const newestOf = (room: Room | undefined): number | undefined => room?.messages.at(-1)?.messageId;
