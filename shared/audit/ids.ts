import type { Broadcaster } from "../broadcast/broadcaster.js";
import { groupName, laneOf } from "../fanout/groups.js";
import { forgetUnused } from "../fanout/subscriptionIds.js";
import { destinationKey } from "../frames/destinations.js";
import { listUsedIds, type UsedId } from "../store/auditedLists.js";
import type { Database } from "../store/database.js";
import { listSubscriptionIds } from "../store/subscriptionIds.js";
import type { Area, Page } from "./area.js";
import { callingEach } from "./callingEach.js";

interface Deps {
  readonly database: Database;
  readonly broadcaster: Broadcaster;
}

const IDS_A_PAGE = 500;

/** The ids of subscriptions, each of which costs a call for every message: somebody must hold it. */
export function idsArea(deps: Deps, roomId?: number): Area<UsedId> {
  const { database, broadcaster } = deps;
  return {
    name: "ids",
    pages: (after) => (roomId === undefined ? pagesOf(database, after) : pageOfRoom(database, roomId)),
    async look(ids) {
      const present = await stillThere(database, ids);
      const held = await callingEach(present, (id) => broadcaster.groupExists(groupOf(id)));
      return present
        .filter((_, index) => !held[index])
        .map((place) => ({
          place,
          kind: "subscription_id",
          where: `${place.destination}${place.packed ? " (packed)" : ""}, id ${place.wire}`,
          expected: "a subscriber",
          found: "none",
        }));
    },
    // It asks once more while the removal is locked.
    mend: ({ destination, wire, packed }) =>
      forgetUnused([{ lane: laneOf(destination, packed), wire }], deps),
  };
}

const groupOf = ({ destination, wire, packed }: UsedId): string =>
  groupName(laneOf(destination, packed), wire);

async function* pagesOf(database: Database, after: string | undefined): AsyncIterable<Page<UsedId>> {
  let last = after === undefined ? undefined : readPlace(after);
  for (;;) {
    const places: readonly UsedId[] = await listUsedIds(database, last, IDS_A_PAGE);
    last = places.at(-1);
    if (!last) return;
    yield { places, next: writePlace(last) };
  }
}

async function* pageOfRoom(database: Database, roomId: number): AsyncIterable<Page<UsedId>> {
  const kinds = ["room", "roomRead"] as const;
  const keys = kinds.map((kind) => destinationKey({ kind, roomId }, 0));
  const used = await listSubscriptionIds(database, keys);
  yield { places: [...used].flatMap(([destination, ids]) => ids.map((id) => ({ destination, ...id }))) };
}

/** Those that have not been removed meanwhile. */
async function stillThere(database: Database, ids: readonly UsedId[]): Promise<readonly UsedId[]> {
  const used = await listSubscriptionIds(database, [...new Set(ids.map(({ destination }) => destination))]);
  return ids.filter(({ destination, wire, packed }) =>
    used.get(destination)?.some((one) => one.wire === wire && one.packed === packed),
  );
}

/** Where an audit goes on another time. */
const writePlace = ({ destination, wire, packed }: UsedId): string =>
  [packed ? 1 : 0, destination, wire].join(" ");

function readPlace(text: string): UsedId {
  const [packed = "", destination = "", ...wire] = text.split(" ");
  return { destination, wire: wire.join(" "), packed: packed === "1" };
}
