import { lockGroup, requireGroup } from "../chat/access.js";
import { giveHints, type Hint } from "../fanout/hints.js";
import type { Queryable } from "../store/database.js";
import { listMemberIds } from "../store/members.js";
import { insertChanges } from "../store/membershipOutbox.js";
import { findImageUrl, renameRoom, setImageUrl } from "../store/rooms.js";
import { inTransaction } from "../store/transaction.js";
import { namesOf } from "../store/users.js";
import { finishOrLeave } from "./finishChanges.js";
import type { RoomDeps } from "./roomDeps.js";
import { systemMessage } from "./systemMessages.js";

interface Input {
  readonly roomId: number;
  readonly callerId: number;
  readonly name?: string | undefined;
  /** Null takes the picture away. */
  readonly imageUrl?: string | null | undefined;
}

/** How a group looks. */
interface Look {
  readonly name: string;
  readonly imageUrl: string | null;
}

/**
 * Gives a group another name, another picture or both; any member may. A new name is announced by a
 * `SYSTEM_RENAME`. A new picture is no message, only a hint to the members' lists of rooms. What stays as it
 * was changes and tells nothing. Throws `ROOM_NOT_FOUND`, `NOT_A_MEMBER`.
 */
export async function changeRoom(
  { roomId, callerId, name, imageUrl }: Input,
  deps: RoomDeps,
): Promise<Look & { readonly roomId: number }> {
  await requireGroup(deps.database, roomId, callerId);
  const { hasNewName, hint, look } = await inTransaction(deps.database, async (tx) => {
    const { room } = await lockGroup(tx, roomId, callerId);
    const before: Look = { name: room.name ?? "", imageUrl: await findImageUrl(tx, roomId) };
    const look: Look = {
      name: name ?? before.name,
      imageUrl: imageUrl === undefined ? before.imageUrl : imageUrl,
    };
    const hasNewName = look.name !== before.name;
    if (hasNewName) await rename(tx, roomId, callerId, look.name, new Date(deps.now()));
    const hasNewImage = look.imageUrl !== before.imageUrl;
    const hint = hasNewImage ? await changeImage(tx, roomId, callerId, look.imageUrl) : undefined;
    return { hasNewName, hint, look };
  });
  if (hasNewName) await finishOrLeave(roomId, deps);
  if (hint) await giveHints([hint], deps);
  return { roomId, ...look };
}

async function rename(
  tx: Queryable,
  roomId: number,
  causerId: number,
  name: string,
  at: Date,
): Promise<void> {
  await renameRoom(tx, roomId, name);
  const change = { type: "SYSTEM_RENAME", roomId, causerId, roomName: name, at } as const;
  await insertChanges(tx, roomId, [{ event: await systemMessage(tx, change) }]);
}

/** Returns what the members are to be told after the commit. */
async function changeImage(
  tx: Queryable,
  roomId: number,
  causerId: number,
  imageUrl: string | null,
): Promise<Hint> {
  await setImageUrl(tx, roomId, imageUrl);
  const by = (await namesOf(tx, [causerId]))(causerId);
  return {
    userIds: await listMemberIds(tx, roomId),
    roomId,
    change: { type: "ROOM_IMAGE_CHANGED", imageUrl, by },
  };
}
