import type { ReceivedEvent } from "../../shared/bus/eventBus.js";
import { portsOf } from "../../shared/redis/ports.js";
import { createGroupRoom } from "../../shared/rooms/createRooms.js";
import type { Database } from "../../shared/store/database.js";
import { findPosition, type StreamPosition } from "../../shared/store/streamPositions.js";
import { addSubscriptionId } from "../../shared/store/subscriptionIds.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { FakeEventBus } from "../fakes/eventBus.js";
import { FakeSessionStore } from "../fakes/sessionStore.js";

export const HUB = "chat-messages";

let hubAge = 0;
let sent = 0;

/** A log with one partition of messages. Each has a hub of its own creation time, and so positions of its own. */
export function newLog(): FakeEventBus {
  const log = new FakeEventBus({ [HUB]: 1, [`${HUB}-dlt`]: 1 });
  hubAge += 2;
  for (let times = 0; times < hubAge; times += 1) log.makeHub(HUB, 1);
  return log;
}

/** A room of the users 1 and 2, to which somebody has subscribed. Returns its number. */
export async function newRoom(database: Database): Promise<number> {
  const deps = { database, broadcaster: new FakeBroadcaster(), ...portsOf(new FakeSessionStore()) };
  const members = { roomName: "room", userIds: [2], callerId: 1 };
  const { roomId } = await createGroupRoom(members, { ...deps, now: Date.now });
  await addSubscriptionId(database, `r${roomId}`, "sub-0");
  return roomId;
}

/** Puts a message of user 1, unlike all others, on the log. */
export function putMessage(log: FakeEventBus, roomId: number): ReceivedEvent {
  sent += 1;
  const event = {
    v: 1,
    eventId: `event-${sent}`,
    roomId,
    senderId: 1,
    senderNickname: "Ann",
    clientMessageId: null,
    type: "TEXT",
    content: `message ${sent}`,
    sentAt: "2026-01-02T03:04:05.678Z",
  };
  return log.append(HUB, "0", JSON.stringify(event), String(roomId));
}

/** Where the log's partition stands, of which something must be stored. */
export async function positionIn(log: FakeEventBus, database: Database): Promise<StreamPosition> {
  return (await findPosition(database, { hub: HUB, partitionId: "0", hubId: await log.hubId(HUB) }))!;
}
