import { isDeepStrictEqual } from "node:util";
import { expect } from "vitest";
import { call, type Json, until } from "../client.js";
import type { Run } from "./drive.js";
import { type LiveRoom, openRoom, orderFaults, shownCount } from "./liveClient.js";
import { historyOf, memberListOf, type Room, roomListOf, roomsOf, type User, type World } from "./world.js";

/** Sees that every user gets exactly the world from every call, and has it from the live messages. */
export async function compareAll(run: Run): Promise<void> {
  const { world } = run;
  for (const room of world.rooms) await settle(run, room);
  await Promise.all(world.users.map((user) => compareUser(world, user)));
  for (const { rooms } of run.clients.values()) for (const live of rooms) compareEnded(live);
}

async function compareUser(world: World, { userId, token }: User): Promise<void> {
  const get = async (path: string): Promise<Json> => {
    const { status, body } = await call("GET", path, token);
    return status === 200 ? body : { status, code: body.code };
  };
  const rooms = roomListOf(world, userId);
  expect(await get("/rooms?limit=100"), `rooms of user ${userId}`).toEqual({ rooms, cursor: null });
  expect(await pagesOf(get), `pages of rooms of user ${userId}`).toEqual(rooms);
  const mine = new Set(roomsOf(world, userId));
  for (const room of world.rooms) {
    const about = `room ${room.roomId} for user ${userId}`;
    const messagesPath = `/rooms/${room.roomId}/messages`;
    const membersPath = `/group-rooms/${room.roomId}/members`;
    const membersRefused = room.type === "GROUP" ? NOT_A_MEMBER : NO_GROUP;
    if (!mine.has(room)) {
      expect(await get(messagesPath), `history of ${about}`).toEqual(NOT_A_MEMBER);
      expect(await get(membersPath), `members of ${about}`).toEqual(membersRefused);
      continue;
    }
    const history = historyOf(world, room, userId);
    const upwards = await historyPages(get, messagesPath, "after");
    expect(upwards, `history of ${about}, upwards`).toEqual(history);
    const downwards = await historyPages(get, messagesPath, "before");
    expect(downwards, `history of ${about}, downwards`).toEqual(history.toReversed());
    const members = await get(membersPath);
    if (room.type === "GROUP") compareMembers(members, memberListOf(world, room), about);
    else expect(members, `members of ${about}`).toEqual(NO_GROUP);
  }
}

const NOT_A_MEMBER = { status: 403, code: "NOT_A_MEMBER" };
const NO_GROUP = { status: 404, code: "ROOM_NOT_FOUND" };

/** Small pages, so that their seams are seen. */
async function pagesOf(get: (path: string) => Promise<Json>): Promise<Json[]> {
  const rooms: Json[] = [];
  for (let cursor = ""; ; ) {
    const page = await get(`/rooms?limit=2${cursor}`);
    rooms.push(...page.rooms);
    if (page.cursor === null) return rooms;
    cursor = `&cursor=${page.cursor}`;
  }
}

async function historyPages(
  get: (path: string) => Promise<Json>,
  path: string,
  way: "before" | "after",
): Promise<Json[]> {
  const limit = 7;
  const messages: Json[] = [];
  for (let from = way === "after" ? "&after=0" : ""; ; from = `&${way}=${messages.at(-1).seq}`) {
    const page = await get(`${path}?limit=${limit}${from}`);
    messages.push(...page.messages);
    if (page.messages.length < limit) return messages;
  }
}

function compareMembers({ members }: Json, due: readonly Json[], about: string): void {
  const times = members.map(({ joinedAt }: Json) => joinedAt);
  expect(members, `members of ${about}`).toEqual(
    due.map((one, index) => ({ ...one, joinedAt: times[index] })),
  );
  expect(times, `joinedAt in ${about}`).toEqual(times.toSorted());
}

/**
 * Waits until every subscribed client holds exactly what the history would give it. Throws with the
 * difference.
 */
async function settle({ world, clients }: Pick<Run, "world" | "clients">, room: Room): Promise<void> {
  for (const userId of room.members.keys()) {
    const live = openRoom(clients.get(userId)!, room.roomId)!;
    // Messages since the subscription. Earlier ones may have come, too, when they were under way.
    const due = historyOf(world, room, userId).filter(
      ({ seq }) => seq > live.subscribedAt || live.messages.has(seq),
    );
    const deleted = room.deleted.get(userId) ?? new Set();
    const shown = (): Json[] =>
      [...live.messages.values()]
        .filter(({ seq }) => !deleted.has(seq))
        .map((message) => ({ ...message, unreadCount: shownCount(live, message.seq) }));
    await until(() => isDeepStrictEqual(shown(), due), "").catch(() => {});
    const about = `live messages of user ${userId} in room ${room.roomId}, with reads ${JSON.stringify(live.moves)}`;
    expect(shown(), about).toEqual(due);
    expect(orderFaults(live)).toEqual([]);
  }
}

/** Who was removed has got nothing from then on. */
function compareEnded(live: LiveRoom): void {
  const { endedAt, userId, roomId } = live;
  if (endedAt === undefined) return;
  const late = live.arrived.filter((seq) => seq > endedAt);
  expect(late, `seqs that user ${userId} got after leaving room ${roomId} at ${endedAt}`).toEqual([]);
  const reads = live.moves.filter(({ lastReadSeq }) => lastReadSeq > endedAt);
  expect(reads, `reads that user ${userId} got after leaving room ${roomId} at ${endedAt}`).toEqual([]);
}
