import type { Broadcaster } from "../broadcast/broadcaster.js";
import type { RedisInspection } from "../redis/inspection.js";
import type { MembersCache, Sessions } from "../redis/ports.js";
import type { Database } from "../store/database.js";
import type { Area } from "./area.js";
import { type Audited, auditArea, type How, type Told } from "./auditArea.js";
import { idsArea } from "./ids.js";
import { listsArea } from "./lists.js";
import { roomsArea } from "./rooms.js";
import { sessionsArea } from "./sessions.js";

export interface AuditDeps {
  readonly database: Database;
  readonly members: MembersCache;
  readonly sessions: Sessions;
  readonly broadcaster: Broadcaster;
  readonly inspection: RedisInspection;
}

export type AreaName = Area<unknown>["name"];

/** How an area is audited, by its name. */
export type AuditOne = (how: How, tell: (told: Told) => void, after?: string) => Promise<Audited>;

/**
 * What is audited, in this order. With `roomId` one room alone, with its ids and what waits of it: sessions
 * belong to no room.
 */
export function areasOf(deps: AuditDeps, roomId?: number): ReadonlyMap<AreaName, AuditOne> {
  const areas = [
    entry(listsArea(deps, roomId)),
    ...(roomId === undefined ? [entry(sessionsArea(deps))] : []),
    entry(idsArea(deps, roomId)),
    entry(roomsArea(deps, roomId)),
  ];
  return new Map(areas);
}

const entry = <Place>(area: Area<Place>): readonly [AreaName, AuditOne] => [
  area.name,
  (how, tell, after) => auditArea(area, how, tell, after),
];
