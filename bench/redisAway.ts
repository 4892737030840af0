/**
 * Measures what it costs when Redis is away: the time from SEND to RECEIPT, and of whole handshakes. Redis
 * answers and is stopped in turn (by SIGSTOP, so that it takes connections and says nothing). Environment:
 * ROUNDS, SECONDS of each state, SENDS a second.
 */
import type WebSocket from "ws";
import { openSocket } from "./socket.js";
import { newUserIds, onTarget, setting, type Target, tokenFor, writeResult } from "./target.js";

const ROUNDS = setting("ROUNDS", 3);
const SECONDS = setting("SECONDS", 8);
const SENDS = setting("SENDS", 50);
const USERS = 25;

interface Times {
  readonly sends: number[];
  readonly handshakes: number[];
}

function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0) * 10) / 10;
}

const summary = (times: readonly number[]) => ({
  count: times.length,
  p50: quantile(times, 0.5),
  p99: quantile(times, 0.99),
  max: quantile(times, 1),
});

/**
 * Resolves with the milliseconds until the frame's receipt is there. Frames of one socket are answered in
 * order.
 */
function sent(socket: WebSocket, frame: string, receipt: string): Promise<number> {
  const start = performance.now();
  return new Promise((resolve, reject) => {
    socket.on("message", function answer(data: Buffer) {
      const text = data.toString();
      if (text.startsWith("ERROR")) reject(new Error(text));
      if (!text.includes(`receipt-id:${receipt}\n`)) return;
      socket.off("message", answer);
      resolve(performance.now() - start);
    });
    socket.send(frame);
  });
}

async function measure(
  target: Target,
  sockets: readonly WebSocket[],
  roomId: number,
  first: number,
): Promise<Times> {
  const times: Times = { sends: [], handshakes: [] };
  const work: Promise<unknown>[] = [];
  for (let number = 0; number < SECONDS * SENDS; number += 1) {
    const body = JSON.stringify({ roomId, content: `message ${number}` });
    const receipt = `${first}-${number}`;
    const frame = `SEND\ndestination:/pub/chat/message\nreceipt:${receipt}\n\n${body}\0`;
    work.push(sent(sockets[number % sockets.length]!, frame, receipt).then((time) => times.sends.push(time)));
    if (number % 10 === 0)
      work.push(handshake(target, first + number).then((time) => times.handshakes.push(time)));
    await new Promise((resolve) => setTimeout(resolve, 1_000 / SENDS));
  }
  await Promise.all(work);
  return times;
}

async function handshake(target: Target, userId: number): Promise<number> {
  const url = `${target.webPubSub}?token=${await tokenFor(target, userId)}`;
  const start = performance.now();
  const socket = await openSocket(url, []);
  const took = performance.now() - start;
  socket.close();
  return took;
}

async function makeRoom(target: Target, users: readonly number[]): Promise<number> {
  const answer = await fetch(`${target.api}/api/v1/chat/group-rooms`, {
    method: "POST",
    headers: { authorization: `Bearer ${await tokenFor(target, users[0]!)}` },
    body: JSON.stringify({ roomName: "Redis away", userIds: users.slice(1) }),
  });
  return ((await answer.json()) as { roomId: number }).roomId;
}

await onTarget(async (target) => {
  const first = newUserIds();
  const users = Array.from({ length: USERS }, (_, index) => first + index);
  const roomId = await makeRoom(target, users);
  const sockets = await Promise.all(
    users.map(async (user) => openSocket(`${target.webPubSub}?token=${await tokenFor(target, user)}`, [])),
  );
  const redis = target.pids["redis"]!;
  const all = { up: { sends: [], handshakes: [] } as Times, away: { sends: [], handshakes: [] } as Times };
  await measure(target, sockets, roomId, first + 1_000);
  for (let round = 0; round < ROUNDS; round += 1)
    for (const state of ["up", "away"] as const) {
      if (state === "away") process.kill(redis, "SIGSTOP");
      const times = await measure(target, sockets, roomId, first + 10_000 * (round + 1));
      if (state === "away") process.kill(redis, "SIGCONT");
      all[state].sends.push(...times.sends);
      all[state].handshakes.push(...times.handshakes);
      await new Promise((resolve) => setTimeout(resolve, 3_000));
    }
  const result = {
    milliseconds: {
      sends: { up: summary(all.up.sends), away: summary(all.away.sends) },
      handshakes: { up: summary(all.up.handshakes), away: summary(all.away.handshakes) },
    },
  };
  console.log(JSON.stringify(result, null, 2));
  writeResult("redisAway", result);
  for (const socket of sockets) socket.close();
});
