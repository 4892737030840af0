/**
 * The work of one message, as a program: `work.js frame|event N` handles so many messages, with every service
 * answering at once. Prints what it asked of the services, and with `--cpu` the CPU it took.
 */
import { createHmac } from "node:crypto";
import { connectionEvents } from "../../shared/connections/events.js";
import { storeMessages } from "../../shared/messages/store.js";
import { createUpstream } from "../../shared/upstream/cloudEvents.js";
import { answeringDatabase, type Calls, takingBroadcaster, takingBus } from "./services.js";

/** Events of a batch, as under load. */
const BATCH = 20;
const ROOMS = 10;
const KEY = "the key of the socket service";

const calls: Calls = { redis: 0, bus: 0, sql: 0, rest: 0 };
const deps = {
  database: answeringDatabase(calls),
  bus: takingBus(calls),
  broadcaster: takingBroadcaster(calls),
  sessions: {
    admit: async () => {
      calls.redis += 1;
      return { standing: "live", order: 1, toClose: [], retryAfter: 0 };
    },
  },
  members: {
    isMember: async () => {
      calls.redis += 1;
      return true;
    },
    dropMembers: async () => {},
  },
  limits: { messages: 100, sessions: 3 },
  scheduleReads: () => {},
  heartBeats: true,
  retryBudgetMs: 0,
  now: () => 1_800_000_000_000,
};

const upstream = createUpstream(
  "chat",
  { kind: "signature", accessKeys: [KEY] },
  connectionEvents(deps as never),
  (error) => {
    throw error;
  },
);

/** A client's SEND with a RECEIPT, as the service forwards it. */
async function frame(index: number): Promise<void> {
  const connectionId = `connection-${index % 50}`;
  const state = { v: "1.2", n: "Ann", x: 2_000_000_000, o: 1, s: [["sub-0", "r1"]] };
  const content = { roomId: (index % ROOMS) + 1, content: "a".repeat(100), clientMessageId: `id-${index}` };
  const { status, body } = await upstream({
    method: "POST",
    headers: {
      "content-type": "application/octet-stream",
      "webhook-request-origin": "localhost",
      "ce-awpsversion": "1.0",
      "ce-type": "azure.webpubsub.user.message",
      "ce-id": String(index),
      "ce-hub": "chat",
      "ce-userid": String((index % 50) + 1),
      "ce-connectionid": connectionId,
      "ce-signature": `sha256=${createHmac("sha256", KEY).update(connectionId).digest("hex")}`,
      "ce-connectionstate": Buffer.from(JSON.stringify(state)).toString("base64"),
    },
    body: Buffer.from(
      `SEND\ndestination:/pub/chat/message\nreceipt:r-${index}\n\n${JSON.stringify(content)}\0`,
    ),
  });
  if (status !== 200 || !String(body).startsWith("RECEIPT"))
    throw new Error(`a frame was answered by ${status}: ${String(body)}`);
}

/** A batch of events, stored and shown. */
async function batch(index: number): Promise<void> {
  const events = Array.from({ length: BATCH }, (_, place) => {
    const roomId = (place % ROOMS) + 1;
    const event = {
      v: 1,
      eventId: `event-${index}-${place}`,
      roomId,
      senderId: (place % 50) + 1,
      senderNickname: "Ann",
      clientMessageId: `id-${index}-${place}`,
      type: "TEXT",
      content: "a".repeat(100),
      sentAt: "2026-01-02T03:04:05.678Z",
    };
    return { sequenceNumber: place, key: String(roomId), body: Buffer.from(JSON.stringify(event)) };
  });
  await storeMessages({ hub: "chat-messages", partitionId: "0", events }, deps as never);
}

const WORK = {
  frame: async (messages: number): Promise<void> => {
    for (let index = 0; index < messages; index += 1) await frame(index);
  },
  event: async (messages: number): Promise<void> => {
    for (let index = 0; index < messages / BATCH; index += 1) await batch(index);
  },
};

const [name, count, flag] = process.argv.slice(2);
const work = WORK[name as keyof typeof WORK];
const messages = Number(count);
if (flag === "--cpu") {
  const { cpuRatio } = await import("./cpuRatio.js");
  console.log(JSON.stringify(await cpuRatio(() => work(messages), messages)));
} else {
  await work(messages);
  console.log(JSON.stringify(calls));
}
process.exit();
