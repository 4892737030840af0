import { lockGroup, requireGroup } from "../chat/access.js";
import { inTransaction } from "../store/database.js";
import { insertChanges } from "../store/membershipOutbox.js";
import { renameRoom as storeName } from "../store/rooms.js";
import { finishOrLeave } from "./finishChanges.js";
import type { RoomDeps } from "./roomDeps.js";
import { systemMessage } from "./systemMessages.js";

/**
 * Gives a group another name, announced by a `SYSTEM_RENAME`; any member may. The name that it has already changes and tells nothing. Throws
 * `ROOM_NOT_FOUND`, `NOT_A_MEMBER`.
 */
export async function renameRoom(
  { roomId, name, callerId }: { readonly roomId: number; readonly name: string; readonly callerId: number },
  deps: RoomDeps,
): Promise<{ readonly roomId: number; readonly name: string }> {
  await requireGroup(deps.database, roomId, callerId);
  const at = new Date(deps.now());
  const isNew = await inTransaction(deps.database, async (tx) => {
    const { room } = await lockGroup(tx, roomId, callerId);
    if (room.name === name) return false;
    await storeName(tx, roomId, name);
    const change = { type: "SYSTEM_RENAME", roomId, causerId: callerId, roomName: name, at } as const;
    await insertChanges(tx, roomId, [{ event: await systemMessage(tx, change) }]);
    return true;
  });
  if (isNew) await finishOrLeave(roomId, deps);
  return { roomId, name };
}
