/**
 * Counts what a message, a read and a connection cost in calls of each service and in bytes, for stated
 * shapes of rooms. The capacity model computes with these counts. Run as a program it prints them and writes
 * them to `bench/results/calls.json`.
 */
import { EventHubConsumerClient, EventHubProducerClient } from "@azure/event-hubs";
import { Redis } from "ioredis";
import type { RowDataPacket } from "mysql2/promise";
import type WebSocket from "ws";
import { azureRows } from "./azureTable.js";
import { addMessages, insertRooms, settle, withLoader } from "./largeData.js";
import { type Load, LoadGenerator } from "./loadGenerator.js";
import { between, type Meter, read } from "./meter.js";
import { makeRooms } from "./rooms.js";
import { openSocket } from "./socket.js";
import { newUserIds, onTarget, setting, type Target, writeResult } from "./target.js";

const SECONDS = setting("BENCH_SECONDS", 8);
const LOW = setting("BENCH_LOW_RATE", 20);
const MIDDLE = setting("BENCH_MIDDLE_RATE", 150);
const HIGH = setting("BENCH_HIGH_RATE", 400);
/** So many that batches become large: what a batch costs and what each event in it does differ then. */
const TOP = setting("BENCH_TOP_RATE", 900);
const WARM_UP_SECONDS = 6;
const STORM_MEMBERS = [10, 100];
const STORM_MESSAGES = 5;
const CONNECTIONS = 100;
const ROOMS_FOR_SIZE = 50;
const MESSAGES_FOR_SIZE = 2_000;
/** Limits of the usual kind, so that what Redis keeps for them is there, and high enough for the load. */
const LIMITS = {
  RATE_LIMIT_PER_MINUTE: "100000",
  RATE_LIMIT_READS_PER_MINUTE: "100000",
  RATE_LIMIT_SUBSCRIBES_PER_MINUTE: "100000",
  RATE_LIMIT_HANDSHAKES_PER_MINUTE: "100000",
};

interface Shape {
  readonly name: string;
  readonly rooms: number;
  readonly members: number;
  /** Subscription ids in use in each room. Each is a group of its own. */
  readonly ids: number;
  readonly messageRate: number;
  readonly readRate: number;
}

interface ShapeResult extends Shape {
  readonly sent: number;
  readonly reads: number;
  readonly lost: number;
  /** For each message, or for each read where there are any. */
  readonly each: Meter;
  readonly eventsABatch: number;
}

const SHAPES: readonly Shape[] = [
  { name: "few messages", rooms: 20, members: 10, ids: 1, messageRate: LOW, readRate: 0 },
  { name: "some messages", rooms: 20, members: 10, ids: 1, messageRate: MIDDLE, readRate: 0 },
  { name: "many messages", rooms: 20, members: 10, ids: 1, messageRate: HIGH, readRate: 0 },
  { name: "most messages", rooms: 20, members: 10, ids: 1, messageRate: TOP, readRate: 0 },
  { name: "many messages, three ids", rooms: 20, members: 10, ids: 3, messageRate: HIGH, readRate: 0 },
  { name: "rooms of 100", rooms: 2, members: 100, ids: 1, messageRate: LOW, readRate: 0 },
  { name: "few messages and reads", rooms: 20, members: 10, ids: 1, messageRate: LOW, readRate: LOW },
  { name: "many messages and reads", rooms: 20, members: 10, ids: 1, messageRate: HIGH, readRate: HIGH },
];

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What the timers and the servers do by themselves in a second. */
async function measureIdle(target: Target): Promise<Meter> {
  const before = await read(target);
  await pause(SECONDS * 2 * 1_000);
  return between(before, await read(target), SECONDS * 2);
}

async function measureShape(target: Target, shape: Shape, idle: Meter): Promise<ShapeResult> {
  const rooms = await makeRooms(target, shape.rooms, shape.members);
  const more: WebSocket[] = [];
  const generator = await LoadGenerator.connect({
    rooms,
    webPubSub: target.webPubSub,
    reads: shape.readRate > 0,
  });
  try {
    for (let other = 1; other < shape.ids; other += 1)
      more.push(...(await subscribeUnder(other, rooms, target)));
    await generator.run(shape.messageRate, WARM_UP_SECONDS, shape.readRate);
    await pause(1_000);
    const before = await read(target);
    const start = performance.now();
    const { sent, reads, lost } = await generator.run(shape.messageRate, SECONDS, shape.readRate);
    await pause(1_000);
    const after = await read(target);
    const seconds = (performance.now() - start) / 1_000;
    const each = between(before, after, shape.readRate > 0 ? reads.sent : sent, { each: idle, seconds });
    return {
      ...shape,
      sent,
      reads: reads.sent,
      lost,
      each,
      eventsABatch: batch(before, after, idle, seconds),
    };
  } finally {
    for (const socket of more) socket.terminate();
    await generator.close();
  }
}

function batch(before: Meter, after: Meter, idle: Meter, seconds: number): number {
  const all = between(before, after, 1, { each: idle, seconds });
  return Math.round(((all.messageEvents + all.readEvents) / all.transactions) * 100) / 100;
}

/** A member of each room subscribes under the id that a client's `place`th subscription has. */
function subscribeUnder(place: number, rooms: Load["rooms"], target: Target): Promise<WebSocket[]> {
  const others = ["/user/queue/rooms", "/user/queue/errors"].slice(0, place);
  return Promise.all(
    rooms.map(({ roomId, tokens }) =>
      openSocket(`${target.webPubSub}?token=${tokens[place]}`, [...others, `/sub/chat/room/${roomId}`]),
    ),
  );
}

/** What a connection costs from its handshake to its end, with one subscription. */
async function measureConnections(target: Target, idle: Meter): Promise<Meter> {
  const rooms = await makeRooms(target, 1, CONNECTIONS);
  const { roomId, tokens } = rooms[0]!;
  const before = await read(target);
  const start = performance.now();
  for (const token of tokens) {
    const socket = await openSocket(`${target.webPubSub}?token=${token}`, [`/sub/chat/room/${roomId}`]);
    socket.close();
  }
  await pause(2_000);
  const seconds = (performance.now() - start) / 1_000;
  return between(before, await read(target), tokens.length, { each: idle, seconds });
}

/** What a subscription more costs. */
async function measureSubscriptions(target: Target, idle: Meter): Promise<Meter> {
  const [first, second] = await Promise.all([0, 1].map(() => makeRooms(target, 1, CONNECTIONS)));
  const { roomId, tokens } = first![0]!;
  const before = await read(target);
  const start = performance.now();
  for (const token of tokens) {
    const both = [`/sub/chat/room/${roomId}`, `/sub/chat/room/${roomId}/read`];
    (await openSocket(`${target.webPubSub}?token=${token}`, both)).close();
  }
  await pause(2_000);
  const middle = await read(target);
  const between1 = (performance.now() - start) / 1_000;
  const again = performance.now();
  for (const token of second![0]!.tokens) {
    const one = [`/sub/chat/room/${second![0]!.roomId}`];
    (await openSocket(`${target.webPubSub}?token=${token}`, one)).close();
  }
  await pause(2_000);
  const between2 = (performance.now() - again) / 1_000;
  const two = between(before, middle, tokens.length, { each: idle, seconds: between1 });
  const one = between(middle, await read(target), tokens.length, { each: idle, seconds: between2 });
  return between(one, two, 1);
}

interface Storm {
  readonly members: number;
  /** Whether members take several frames in one WebSocket message. */
  readonly packed: boolean;
  /** Of reads, for one message. */
  readonly sendsAMessage: number;
  /** What each member gets of another member's read. */
  readonly bytesARead: number;
}

interface Bytes {
  /** Of content that a message has here. */
  readonly content: number;
  readonly sendFrame: number;
  readonly messageFrame: number;
  readonly readFrameOut: number;
  readonly messageEvent: number;
  readonly readEvent: number;
  /** In MySQL, with indexes. */
  readonly messageRow: number;
  readonly memberRow: number;
  /** In Redis: of a connected user with one subscription, and of each member of a room in use. */
  readonly redisUser: number;
  readonly redisMember: number;
}

async function measureBytes(target: Target): Promise<Bytes> {
  const rooms = await makeRooms(target, 1, CONNECTIONS);
  const { roomId, tokens } = rooms[0]!;
  const socket = await openSocket(`${target.webPubSub}?token=${tokens[0]}`, [
    `/sub/chat/room/${roomId}`,
    `/sub/chat/room/${roomId}/read`,
  ]);
  const reader = await openSocket(`${target.webPubSub}?token=${tokens[1]}`, [`/sub/chat/room/${roomId}`]);
  const content = "x".repeat(80);
  const body = JSON.stringify({ roomId, content, clientMessageId: "0b1f6c0a-3d6e-4a52-9b57-5f2f8d7c3c11" });
  const sendFrame = `SEND\ndestination:/pub/chat/message\nreceipt:r-1\n\n${body}\0`;
  const message = await next(socket, "MESSAGE", () => socket.send(sendFrame));
  const messageId = /"messageId":(\d+)/.exec(message)?.[1];
  const readBody = `{"roomId":${roomId},"messageId":${messageId}}`;
  const readFrame = `SEND\ndestination:/pub/chat/read\n\n${readBody}\0`;
  const shown = await next(socket, "MESSAGE", () => reader.send(readFrame));
  const redis = await redisBytes(target.redis, CONNECTIONS);
  socket.close();
  reader.close();
  return {
    content: content.length,
    sendFrame: sendFrame.length,
    messageFrame: message.length,
    readFrameOut: shown.length,
    messageEvent: await eventBytes(target.eventHubs!, "chat-messages"),
    readEvent: await eventBytes(target.eventHubs!, "chat-read-events"),
    ...(await rowBytes(target.mysql)),
    ...redis,
  };
}

function next(socket: WebSocket, command: string, act: () => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${command} came within 10 s`)), 10_000);
    const take = (data: Buffer): void => {
      const text = data.toString();
      if (text.startsWith("ERROR")) reject(new Error(text));
      if (!text.startsWith(command)) return;
      clearTimeout(timer);
      socket.off("message", take);
      resolve(text);
    };
    socket.on("message", take);
    act();
  });
}

/** The bytes of the newest event, of the partition that has most. The SDK has parsed its JSON. */
async function eventBytes(connectionString: string, hub: string): Promise<number> {
  const producer = new EventHubProducerClient(connectionString, hub);
  const partitions = await Promise.all(
    (await producer.getPartitionIds()).map((id) => producer.getPartitionProperties(id)),
  );
  await producer.close();
  const longest = partitions.reduce((a, b) =>
    b.lastEnqueuedSequenceNumber > a.lastEnqueuedSequenceNumber ? b : a,
  );
  const consumer = new EventHubConsumerClient("chat-recover", connectionString, hub);
  try {
    return await new Promise((resolve, reject) => {
      const startPosition = { sequenceNumber: longest.lastEnqueuedSequenceNumber, isInclusive: true };
      consumer.subscribe(
        longest.partitionId,
        {
          processEvents: async ([event]) => {
            if (event) resolve(Buffer.byteLength(JSON.stringify(event.body)));
          },
          processError: async (error) => reject(error),
        },
        { startPosition, maxBatchSize: 1 },
      );
    });
  } finally {
    await consumer.close();
  }
}

/** Bytes of a row with all its indexes, by the server's own count, of tables that are large enough for it. */
async function rowBytes(mysql: string): Promise<Pick<Bytes, "messageRow" | "memberRow">> {
  return withLoader(mysql, async (loader) => {
    const first = newUserIds();
    const groups = Array.from({ length: ROOMS_FOR_SIZE }, (_, room) =>
      Array.from({ length: 1_000 }, (_, member) => first + room * 1_000 + member),
    );
    await addMessages(loader, await insertRooms(loader, groups), 0, MESSAGES_FOR_SIZE);
    await settle(loader);
    const bytesOf = async (table: string): Promise<number> => {
      const [[row]] = await loader.query<RowDataPacket[]>(
        `SELECT (data_length + index_length) / table_rows AS bytes FROM information_schema.tables
          WHERE table_schema = DATABASE() AND table_name = ?`,
        [table],
      );
      return Math.round(Number(row?.["bytes"]));
    };
    return { messageRow: await bytesOf("messages"), memberRow: await bytesOf("room_members") };
  });
}

/** By `MEMORY USAGE` of each key. */
async function redisBytes(url: string, members: number): Promise<Pick<Bytes, "redisUser" | "redisMember">> {
  const redis = new Redis(url);
  try {
    const users = new Map<string, number>();
    let largestRoom = 0;
    for await (const keys of redis.scanStream({ count: 1_000 }) as AsyncIterable<string[]>)
      for (const key of keys) {
        const bytes = (await redis.memory("USAGE", key, "SAMPLES", 0)) ?? 0;
        const user = /^\{user:(\d+)\}/.exec(key)?.[1];
        if (user !== undefined) users.set(user, (users.get(user) ?? 0) + bytes);
        if (/^\{room:\d+\}:members$/.test(key) && (await redis.scard(key)) === members)
          largestRoom = Math.max(largestRoom, bytes);
      }
    const all = [...users.values()].sort((a, b) => b - a);
    return { redisUser: all[0] ?? Number.NaN, redisMember: Math.ceil(largestRoom / members) };
  } finally {
    redis.disconnect();
  }
}

/** A room in which every member reads each message at once: the sends for all reads of one message. */
async function measureStorm(target: Target, members: number, packed: boolean): Promise<Storm> {
  const rooms = await makeRooms(target, 1, members);
  const generator = await LoadGenerator.connect({ rooms, webPubSub: target.webPubSub, reads: true, packed });
  try {
    await generator.storm();
    const before = await read(target);
    let bytes = 0;
    for (let message = 0; message < STORM_MESSAGES; message += 1)
      bytes += (await generator.storm()).reads.bytes;
    const sends = (await read(target)).restSends - before.restSends;
    const perMember = bytes / STORM_MESSAGES / members / (members - 1);
    return {
      members,
      packed,
      sendsAMessage: Math.round((sends / STORM_MESSAGES - 1) * 100) / 100,
      bytesARead: Math.round(perMember),
    };
  } finally {
    await generator.close();
  }
}

async function measure(target: Target) {
  const warm = await LoadGenerator.connect({
    rooms: await makeRooms(target, 20, 10),
    webPubSub: target.webPubSub,
    reads: true,
  });
  await warm.run(HIGH, WARM_UP_SECONDS, HIGH);
  await warm.close();
  const bytes = await measureBytes(target);
  console.log(bytes);
  await pause(3_000);
  const idle = await measureIdle(target);
  const connection = await measureConnections(target, idle);
  const subscription = await measureSubscriptions(target, idle);
  console.table({ "idle, a second": idle, "a connection": connection, "a subscription more": subscription });
  const shapes: ShapeResult[] = [];
  for (const shape of SHAPES) {
    shapes.push(await measureShape(target, shape, idle));
    const { name, sent, reads, lost, each, eventsABatch } = shapes.at(-1)!;
    console.log(`${name}: ${sent} sent, ${reads} reads, ${lost} lost, ${eventsABatch} events a batch`, each);
  }
  const storms: Storm[] = [];
  for (const members of STORM_MEMBERS)
    for (const packed of [false, true]) storms.push(await measureStorm(target, members, packed));
  console.table(storms);
  console.table(azureRows(shapes, bytes));
  return { bytes, idle, connection, subscription, shapes, storms };
}

const result = await onTarget(measure, LIMITS);
writeResult("calls", { seconds: SECONDS, ...result });
