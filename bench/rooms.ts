import type { Load } from "./loadGenerator.js";
import { newUserIds, type Target, tokenFor } from "./target.js";

/** A call takes so many users. */
const USERS_A_CALL = 400;

/** Makes groups of users that are new, by the API, each by its first user. */
export async function makeRooms(target: Target, rooms: number, members: number): Promise<Load["rooms"]> {
  const first = newUserIds();
  return Promise.all(
    Array.from({ length: rooms }, async (_, room) => {
      const users = Array.from({ length: members }, (_, member) => first + room * members + member);
      const tokens = await Promise.all(users.map((user) => tokenFor(target, user)));
      const others = users.slice(1);
      const body = { roomName: `bench ${room}`, userIds: others.slice(0, USERS_A_CALL) };
      const { roomId } = (await post(target, "group-rooms", tokens[0]!, body)) as { roomId: number };
      for (let next = USERS_A_CALL; next < others.length; next += USERS_A_CALL) {
        const userIds = others.slice(next, next + USERS_A_CALL);
        await post(target, `group-rooms/${roomId}/invite`, tokens[0]!, { userIds });
      }
      return { roomId, tokens };
    }),
  );
}

async function post(target: Target, path: string, token: string, body: object): Promise<unknown> {
  const response = await fetch(`${target.api}/api/v1/chat/${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`no room: ${response.status} ${await response.text()}`);
  return response.status === 204 ? undefined : response.json();
}
