import type { Load } from "./loadGenerator.js";
import { newUserIds, type Target, tokenFor } from "./target.js";

/** Makes groups of users that are new, by the API, each by its first user. */
export async function makeRooms(target: Target, rooms: number, members: number): Promise<Load["rooms"]> {
  const first = newUserIds();
  return Promise.all(
    Array.from({ length: rooms }, async (_, room) => {
      const users = Array.from({ length: members }, (_, member) => first + room * members + member);
      const tokens = await Promise.all(users.map((user) => tokenFor(target, user)));
      const response = await fetch(`${target.api}/api/v1/chat/group-rooms`, {
        method: "POST",
        headers: { authorization: `Bearer ${tokens[0]}` },
        body: JSON.stringify({ roomName: `bench ${room}`, userIds: users.slice(1) }),
      });
      if (response.status !== 201) throw new Error(`no room: ${response.status} ${await response.text()}`);
      return { roomId: ((await response.json()) as { roomId: number }).roomId, tokens };
    }),
  );
}
