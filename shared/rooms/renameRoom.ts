import { renameRoom as storeName } from "../store/rooms.js";
import { requireGroup } from "./access.js";
import { NewName, RoomPath } from "./api.js";
import type { RoomDeps } from "./roomDeps.js";
import { validated } from "./validate.js";

/** Gives a group another name; any member may. Throws `INVALID_REQUEST`, `ROOM_NOT_FOUND`, `NOT_A_MEMBER`. */
export async function renameRoom(
  path: unknown,
  body: unknown,
  callerId: number,
  { database }: Pick<RoomDeps, "database">,
): Promise<{ roomId: number; name: string }> {
  const { roomId } = validated(RoomPath, path);
  const { name } = validated(NewName, body);
  await requireGroup(database, roomId, callerId);
  await storeName(database, roomId, name);
  return { roomId, name };
}
