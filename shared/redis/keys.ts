import type { RateKind } from "./ports.js";

// What stands in braces decides a key's slot (Redis Cluster specification, hash tags). A script's keys share
// one slot, so all keys of a user hold the user's id there, and all of a room the room's.

export const membersKey = (roomId: number): string => `{room:${roomId}}:members`;
export const versionKey = (roomId: number): string => `{room:${roomId}}:version`;
export const readTurnKey = (roomId: number): string => `{room:${roomId}}:reads`;

const userKey = (userId: number, name: string): string => `{user:${userId}}:${name}`;

export const sessionsKey = (userId: number): string => userKey(userId, "sessions");
export const endedKey = (userId: number): string => userKey(userId, "ended");
export const returnsKey = (userId: number): string => userKey(userId, "returns");

type FiveKeys = readonly [sessions: string, closing: string, details: string, ended: string, logouts: string];

/** The five keys of a user's sessions, in the order of `lua/sessions.lua`, which says what each holds. */
export const fiveKeys = (userId: number): FiveKeys => [
  sessionsKey(userId),
  userKey(userId, "closing"),
  userKey(userId, "details"),
  endedKey(userId),
  userKey(userId, "logouts"),
];

export const rateKey = (userId: number, kind: RateKind): string => userKey(userId, kind);
export const idsKey = (userId: number, destination: string): string => userKey(userId, `ids:${destination}`);
export const subscriptionsKey = (userId: number, connectionId: string): string =>
  userKey(userId, `subscriptions:${connectionId}`);
export const piecesKey = (userId: number, frame: string): string => userKey(userId, `pieces:${frame}`);

/** The users whom the sweep has to look after: one key for all, as it can't be in every user's slot. */
export const UNFINISHED_KEY = "{sessions}:left";

/** Where the nightly audit goes on in an area, when a run was over before its end. */
export const auditKey = (area: string): string => `{audit}:next:${area}`;

export const faultKey = (name: string): string => `{faults}:${name}`;
