import type { RedisInspection } from "../redis/inspection.js";
import { findRoomsWithChanges } from "../store/auditedLists.js";
import { listMembersOf } from "../store/auditedMembers.js";
import type { Database } from "../store/database.js";
import { inSnapshot } from "../store/snapshot.js";
import type { Finding } from "./area.js";

interface Deps {
  readonly database: Database;
  readonly inspection: RedisInspection;
}

/** The members of rooms, those left out whose change is not finished: their cache is about to be dropped. */
type Members = ReadonlyMap<number, ReadonlySet<number>>;

/**
 * Where cached members differ from MySQL's. MySQL is read before and after the cache: a user who came or went
 * between is not judged.
 */
export async function cacheFindings(
  roomIds: readonly number[],
  { database, inspection }: Deps,
): Promise<readonly Finding<number>[]> {
  const cached = [...(await inspection.cachedMembers(roomIds)).keys()];
  if (cached.length === 0) return [];
  const before = await settledMembers(database, cached);
  const between = await inspection.cachedMembers([...before.keys()]);
  const after = await settledMembers(database, [...between.keys()]);
  return [...after].flatMap(([roomId, now]) =>
    differences(roomId, [before.get(roomId), between.get(roomId), now]),
  );
}

async function settledMembers(database: Database, roomIds: readonly number[]): Promise<Members> {
  return inSnapshot(database, async (db) => {
    const unfinished = await findRoomsWithChanges(db, roomIds);
    const settled = roomIds.filter((roomId) => !unfinished.has(roomId));
    const members = await listMembersOf(db, settled);
    return new Map(settled.map((roomId) => [roomId, new Set(members.get(roomId))]));
  });
}

function differences(
  roomId: number,
  [before = new Set(), cached = new Set(), after = new Set()]: readonly (ReadonlySet<number> | undefined)[],
): readonly Finding<number>[] {
  const users = [...new Set([...before, ...cached])].sort((one, other) => one - other);
  const wrong = users.filter((user) => {
    const isMember = after.has(user);
    return before.has(user) === isMember && cached.has(user) !== isMember;
  });
  return wrong.map((user) => ({
    place: roomId,
    kind: "cached_members",
    where: `room ${roomId}, user ${user}`,
    expected: after.has(user) ? "a member" : "no member",
    found: after.has(user) ? "not cached" : "cached as a member",
  }));
}
