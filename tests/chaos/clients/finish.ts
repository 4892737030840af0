import { setTimeout as sleep } from "node:timers/promises";
import type { Person } from "./cast.js";
import type { Room } from "./rooms.js";
import { lookAtStored } from "./stored.js";
import type { DatabaseAddress } from "./target.js";

const LOOK_MS = 300;
/** So long nothing may change before it counts as quiet: longer than the sweep's pause. */
const STILL_MS = 4_000;

/** Waits until `missing` finds nothing, or the time is over; resolves with what it found last. */
export async function untilNothing(
  missing: () => Promise<readonly string[]> | readonly string[],
  ms: number,
): Promise<readonly string[]> {
  const end = Date.now() + ms;
  for (;;) {
    const found = await missing();
    if (found.length === 0 || Date.now() > end) return found;
    await sleep(LOOK_MS);
  }
}

/** What keeps the clients from having all that is stored. */
export async function missingAtClients(
  people: readonly Person[],
  rooms: readonly Room[],
  address: DatabaseAddress,
): Promise<string[]> {
  const stored = await lookAtStored(address);
  if (!stored) return ["the database does not answer"];
  const behind = people.flatMap(({ clients }) =>
    clients.flatMap((client) => [
      ...client.missing,
      ...[...client.live()]
        .filter(([room, { seq, since }]) => {
          const last = stored.lastMessages.get(room);
          return last && seq < last.seq && since < last.sentAt;
        })
        .map(([room, { seq }]) => `${client.history.client} has room ${room} up to ${seq}`),
    ]),
  );
  const calling = people
    .filter(({ calls }) => calls.underWay > 0)
    .map(({ user }) => `user ${user} waits for the answer of a call`);
  const changing = rooms.filter(({ isChanging }) => isChanging).map(({ room }) => `room ${room} changes`);
  return [
    ...behind,
    ...calling,
    ...changing,
    ...(stored.outbox > 0 ? [`${stored.outbox} rows wait in outboxes`] : []),
  ];
}

/** Resolves when nothing was missing, and nothing was stored, for some seconds; or the time is over. */
export async function untilQuiet(
  people: readonly Person[],
  rooms: readonly Room[],
  address: DatabaseAddress,
  ms: number,
): Promise<readonly string[]> {
  let [state, since] = ["", Date.now()];
  return untilNothing(async () => {
    const missing = await missingAtClients(people, rooms, address);
    const now = JSON.stringify([...((await lookAtStored(address))?.lastMessages ?? [])]);
    if (missing.length > 0 || now !== state) [state, since] = [now, Date.now()];
    if (missing.length > 0) return missing;
    return Date.now() - since < STILL_MS ? ["something was stored a moment ago"] : [];
  }, ms);
}

/** Each user's list, and the whole history of each of its rooms. */
export async function lookAtAll(people: readonly Person[]): Promise<void> {
  for (const { calls } of people)
    for (const { room } of await calls.list(true)) await calls.messagesAfter(room, 0, true);
}
