import type { Person } from "./cast.js";
import type { Random } from "./random.js";

/** A room as this run changes it. */
export interface Room {
  readonly room: number;
  readonly group: boolean;
  readonly creator: Person;
  readonly state: Map<Person, "in" | "out" | "changing">;
  /** One membership changes at a time. */
  isChanging: boolean;
}

const GROUPS = 5;
const PAIRS = 3;

let changes = 0;
let keys = 0;

/** Lets all users come, makes five groups and three one-to-one rooms, and has the members enter them. */
export async function makeRooms(people: readonly Person[], random: Random): Promise<Room[]> {
  for (const person of people) await person.calls.untilClear("GET /rooms?limit=1", { asked: "come" });
  const rooms: Room[] = [];
  for (let index = 0; index < GROUPS; index += 1) rooms.push(await makeGroup(people, random));
  for (let index = 0; index < PAIRS; index += 1) rooms.push(await makePair(people, index));
  return rooms;
}

async function makeGroup(people: readonly Person[], random: Random): Promise<Room> {
  const members = people.filter(() => random.chance(0.7));
  const creator = members.shift() ?? people[0];
  if (!creator) throw new Error("nobody is there to make a room");
  const body = { roomName: "Chaos", userIds: members.map(({ user }) => user) };
  const answer = await creator.calls.untilClear("POST /group-rooms", { asked: "create", key: key() }, body);
  return begin(answer, true, creator, [creator, ...members], people);
}

async function makePair(people: readonly Person[], index: number): Promise<Room> {
  const [one, other] = [people[2 * index], people[2 * index + 1]];
  if (!one || !other) throw new Error("too few users for the one-to-one rooms");
  const body = { targetUserId: other.user };
  const answer = await one.calls.untilClear("POST /rooms", { asked: "open", key: key() }, body);
  return begin(answer, false, one, [one, other], people);
}

function begin(
  { status, body: { roomId: room } }: { status: number; body: { readonly roomId?: number } },
  group: boolean,
  creator: Person,
  members: readonly Person[],
  people: readonly Person[],
): Room {
  if (room === undefined) throw new Error(`a room could not be made: the answer has status ${status}`);
  creator.history.note({ kind: "room", room, group, members: members.map(({ user }) => user) });
  for (const { clients } of members) for (const client of clients) client.enter(room);
  const state = new Map(people.map((one) => [one, members.includes(one) ? "in" : "out"] as const));
  return { room, group, creator, state, isChanging: false };
}

/** Takes a user out of a group, or back into it, whatever it takes. */
export async function change(
  room: Room,
  target: Person,
  to: "in" | "out",
  byThemselves: boolean,
): Promise<void> {
  const number = ++changes;
  const actor = to === "out" && byThemselves ? target : room.creator;
  room.isChanging = true;
  room.state.set(target, "changing");
  actor.history.note({ kind: "changing", change: number, room: room.room, target: target.user, to });
  const status = await ask(room, target, to, actor);
  room.isChanging = false;
  // An answer that never came leaves the membership open: the checker takes it as either.
  if (status < 200 || status >= 500 || status === 429) return;
  actor.history.note({ kind: "changed", change: number });
  room.state.set(target, to);
  for (const client of target.clients) to === "in" ? client.enter(room.room) : client.leave(room.room);
}

async function ask({ room }: Room, target: Person, to: "in" | "out", actor: Person): Promise<number> {
  const { calls } = actor;
  const group = `/group-rooms/${room}`;
  const { status } =
    to === "in"
      ? await calls.untilClear(
          `POST ${group}/invite`,
          { asked: "invite", room, key: key() },
          { userIds: [target.user] },
        )
      : actor === target
        ? await calls.untilClear(`DELETE /rooms/${room}`, { asked: "leave", room })
        : await calls.untilClear(`DELETE ${group}/members/${target.user}`, { asked: "kick", room });
  return status;
}

const key = (): string => `chaos-${process.pid}-${Date.now()}-${++keys}`;
