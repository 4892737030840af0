import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { busOf } from "../support/bus.js";
import { call, makeRoom, newUsers, until } from "../support/client.js";
import { ownStack } from "../support/ownStack.js";
import { open, openConnected } from "../support/rawSocket.js";

const stack = ownStack();
const address = (): string => stack.addresses.webPubSub;

test("refusals, sessions and their ends arrive at an OTLP receiver, and in the log when the host ends", async () => {
  const [user] = newUsers(1) as [number];
  const sockets = [];
  for (let index = 0; index < 4; index += 1)
    sockets.push(await openConnected(user, "1.2", undefined, "", address()));
  await sockets[0]!.closed;
  sockets[1]!.send("SEND\ndestination:/pub/chat/message\n\n{}\0");
  expect(await sockets[1]!.next()).toContain("INVALID_MESSAGE");
  await sockets[1]!.closed;
  await call("GET", "/rooms", undefined, undefined, stack.addresses);
  await expect(open(user, ["v12.stomp"], "", "no token", address())).rejects.toThrow("401");

  const { receiver } = stack;
  await until(() => receiver.value("chat.sessions.opened") === 4, "four sessions opened");
  await until(() => receiver.value("chat.sessions.ended", { reason: "SESSION_LIMIT" }) === 1, "one ended");
  await until(() => receiver.value("chat.sessions.ended", { reason: "disconnected" }) === 1, "one gone");
  await until(() => receiver.value("chat.sessions.active") === 2, "two left");
  const refused = (code: string, via: string): number => receiver.value("chat.refusals", { code, via });
  await until(() => refused("INVALID_MESSAGE", "stomp") === 1, "the refused frame");
  await until(() => refused("UNAUTHORIZED", "http") === 1, "the refused call");
  await until(() => refused("UNAUTHORIZED", "handshake") === 1, "the refused handshake");
  // Of two processes, one of which does the sweeps.
  const lag = (hub: string, partition: string) => receiver.has("chat.lag.events", { hub, partition });
  for (const partition of ["0", "1", "2"])
    await until(() => lag("chat-messages", partition), `the lag of partition ${partition}`);
  for (const partition of ["0", "1"])
    await until(() => lag("chat-read-events", partition), `the lag of partition ${partition}`);
  await until(() => receiver.has("chat.lag.age", { hub: "chat-messages", partition: "0" }), "its age");
  await until(() => receiver.value("chat.health") === 1, "the health of the whole");
  await until(() => receiver.value("chat.mysql.connections", { state: "idle" }) > 0, "the pool");
  await until(
    () => receiver.value("chat.broadcast.duration", { kind: "closeConnection", outcome: "ok" }) > 0,
    "the calls of the socket service",
  );
  expect([...receiver.services]).toEqual(["nonstop-chat"]);
  for (const resource of receiver.resources) expect(resource["service.instance.id"]).toBeTruthy();
  for (const socket of sockets.slice(2)) await socket.close();

  await stack.restart("functionsHost");
  const log = readFileSync(join(stack.folder, "logs/functionsHost.log"), "utf8");
  expect(log).toContain("counts of the last minute");
  expect(log).toContain('"chat.sessions.opened":4');
});

test("batches, dead letters and what comes again are counted", async () => {
  const [user] = newUsers(1) as [number];
  const roomId = await makeRoom([user], stack.addresses);
  const socket = await openConnected(user, "1.2", undefined, "", address());
  socket.send(
    `SEND\ndestination:/pub/chat/message\nreceipt:1\n\n${JSON.stringify({ roomId, content: "a" })}\0`,
  );
  expect(await socket.next()).toContain("receipt-id:1");
  const bus = busOf(stack.addresses);
  await bus.publish("chat-messages", String(roomId), { v: 99 });
  await bus.close();
  const { receiver } = stack;
  const hub = "chat-messages";
  await until(
    () => receiver.value("chat.dead_letters", { hub, code: "INVALID_MESSAGE" }) === 1,
    "the letter",
  );
  await until(() => receiver.value("chat.batch.size", { hub }) > 0, "the size of batches");
  await until(() => receiver.value("chat.batch.duration", { hub, outcome: "ok" }) > 0, "their time");
  await socket.close();
});

/**
 * Returns when many more exports have failed. Nobody can see those to nobody, so some time passes for them.
 */
async function manyMoreExports(answer: 503 | "nothing" | "away"): Promise<void> {
  const { requests } = stack.receiver;
  if (answer === "away") await pause(1_500);
  else await until(() => stack.receiver.requests >= requests + 10, "ten more are sent");
}

test.each([503, "nothing", "away"] as const)(
  "with a receiver that answers '%s' everything goes on, and the log has a line a minute of it at most",
  async (answer) => {
    if (answer === "away") await stack.receiver.close();
    else stack.receiver.answer = answer;
    const file = join(stack.folder, "logs/functionsHost.log");
    const warnings = (): number =>
      readFileSync(file, "utf8").split("metrics could not be exported").length - 1;
    // The log goes on over restarts, and each process has a minute of its own.
    const before = warnings();
    const began = Date.now();
    await stack.restart("functionsHost");
    const [user] = newUsers(1) as [number];
    const socket = await openConnected(user, "1.2", undefined, "", address());
    await until(() => warnings() > before, "the log says so");
    socket.send("UNSUBSCRIBE\nid:none\nreceipt:1\n\n\0");
    expect(await socket.next()).toContain("receipt-id:1");
    await manyMoreExports(answer);
    // Those that ended with the restart have had their last word, too.
    const processes = 4;
    const minutes = 1 + Math.floor((Date.now() - began) / 60_000);
    expect(warnings() - before).toBeLessThanOrEqual(processes * minutes);
    await socket.close();
  },
);
