import type { RedisInspection } from "../redis/inspection.js";
import type { MembersCache } from "../redis/ports.js";
import { findRoomSizes, listRoomIds } from "../store/auditedRooms.js";
import type { Database } from "../store/database.js";
import { inSnapshot } from "../store/snapshot.js";
import type { Area, Finding } from "./area.js";
import { cacheFindings } from "./cachedMembers.js";
import { memberFindings } from "./memberFindings.js";
import { mendRoom } from "./mendRoom.js";
import { roomFindings } from "./roomFindings.js";

export interface RoomsDeps {
  readonly database: Database;
  readonly members: MembersCache;
  readonly inspection: RedisInspection;
}

const ROOMS_A_PAGE = 200;
/** What one snapshot counts, unless one room alone has more: fractions of a second. */
const ROWS_A_SNAPSHOT = 20_000;

/** Rooms with their messages and members, cached ones included. `only` names the one to be audited. */
export function roomsArea(deps: RoomsDeps, only?: number): Area<number> {
  return {
    name: "rooms",
    pages: (after) => (only === undefined ? pagesOf(deps, Number(after ?? 0)) : onePage(only)),
    look: (roomIds) => look(roomIds, deps),
    async mend(roomId, findings) {
      const kinds = new Set(findings.map(({ kind }) => kind));
      if (!onlyCached(kinds)) await mendRoom(roomId, kinds.has("uncounted"), deps);
      await deps.members.dropMembers(roomId);
    },
  };
}

const onlyCached = (kinds: ReadonlySet<string>): boolean => kinds.size === 1 && kinds.has("cached_members");

async function* onePage(roomId: number): AsyncIterable<{ places: readonly number[] }> {
  yield { places: [roomId] };
}

/** Pages of a bounded size, as a run may be over between two of them. */
async function* pagesOf(
  { database }: RoomsDeps,
  after: number,
): AsyncIterable<{ places: readonly number[]; next: string }> {
  let last: number | undefined = after;
  while (last !== undefined) {
    const roomIds: readonly number[] = await listRoomIds(database, last, ROOMS_A_PAGE);
    for (const places of partsOf(roomIds, await findRoomSizes(database, roomIds)))
      yield { places, next: String(places.at(-1)) };
    last = roomIds.at(-1);
  }
}

async function look(roomIds: readonly number[], deps: RoomsDeps): Promise<readonly Finding<number>[]> {
  const sizes = await findRoomSizes(deps.database, roomIds);
  const findings: Finding<number>[] = [];
  for (const part of partsOf(roomIds, sizes)) findings.push(...(await lookAt(part, deps)));
  return [...findings, ...(await cacheFindings(roomIds, deps))];
}

/** Each part is judged at one moment. */
const lookAt = (roomIds: readonly number[], { database }: RoomsDeps): Promise<Finding<number>[]> =>
  inSnapshot(database, async (db) => [
    ...(await roomFindings(db, roomIds)),
    ...(await memberFindings(db, roomIds)),
  ]);

/** The rooms in parts of a bounded size. */
function partsOf(
  roomIds: readonly number[],
  sizes: ReadonlyMap<number, number>,
): readonly (readonly number[])[] {
  const parts: number[][] = [];
  let free = 0;
  for (const roomId of roomIds) {
    const size = sizes.get(roomId) ?? 0;
    if (size > free || parts.length === 0) {
      parts.push([]);
      free = ROWS_A_SNAPSHOT;
    }
    parts.at(-1)?.push(roomId);
    free -= size;
  }
  return parts;
}
