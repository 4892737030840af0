import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { freePorts, LOOPBACK } from "../../../local/ports.js";
import { Link } from "./link.js";

let echo: Server;
let link: Link;
beforeEach(async () => {
  const [near, far] = (await freePorts(2)) as [number, number];
  echo = createServer((socket) => socket.on("error", () => {}).pipe(socket)).listen(far, LOOPBACK);
  await once(echo, "listening");
  link = new Link(near, far);
  await link.open();
});
afterEach(async () => {
  await link.close();
  await new Promise((resolve) => echo.close(resolve));
});

async function client(): Promise<Socket> {
  const socket = connect({ host: LOOPBACK, port: link.port }).on("error", () => {});
  await once(socket, "connect");
  return socket;
}

async function answerTo(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  const [bytes] = await once(socket, "data");
  return String(bytes);
}

describe("a link", () => {
  test("passes on in both directions", async () => {
    const socket = await client();
    expect(await answerTo(socket, "hello")).toBe("hello");
    expect(link.opened).toBe(1);
    socket.destroy();
  });

  test("that is cut resets its connections, and takes new ones", async () => {
    const socket = await client();
    await answerTo(socket, "hello");
    const closed = new Promise((resolve) => socket.once("close", resolve));
    expect(link.cut()).toBe(1);
    await closed;
    const next = await client();
    expect(await answerTo(next, "again")).toBe("again");
    next.destroy();
  });

  test("that refuses lets nobody in until it is healed", async () => {
    const socket = await client();
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await link.refuse();
    await closed;
    await expect(
      new Promise((_, reject) => connect({ host: LOOPBACK, port: link.port }).on("error", reject)),
    ).rejects.toThrow("ECONNREFUSED");
    await link.heal();
    expect(await answerTo(await client(), "again")).toBe("again");
  });

  test("that hangs keeps what it was given, also on new connections, and delivers it when it is healed", async () => {
    const old = await client();
    await answerTo(old, "hello");
    link.hang();
    const young = await client();
    const answers: string[] = [];
    for (const socket of [old, young]) {
      socket.on("data", (bytes) => answers.push(String(bytes)));
      socket.write("kept");
    }
    await sleep(300);
    expect(answers).toEqual([]);
    await link.heal();
    await expect.poll(() => answers).toEqual(["kept", "kept"]);
    for (const socket of [old, young]) socket.destroy();
  });

  test("that is slow delivers everything, in order", async () => {
    link.slow({ latencyMs: 5, bytesPerSecond: 10_000_000 });
    const socket = await client();
    const sent = Buffer.alloc(300_000, "0123456789");
    const got: Buffer[] = [];
    socket.on("data", (bytes) => got.push(bytes)).write(sent);
    await expect.poll(() => Buffer.concat(got).equals(sent)).toBe(true);
    socket.destroy();
  });

  test("resets the connection instead of passing on what its watcher takes", async () => {
    link.watch = (bytes, isFromClient) => !isFromClient && String(bytes).includes("OK");
    const socket = await client();
    expect(await answerTo(socket, "hello")).toBe("hello");
    const closed = new Promise((resolve) => socket.once("close", resolve));
    const heard: string[] = [];
    socket.on("data", (bytes) => heard.push(String(bytes))).write("OK");
    await closed;
    expect(heard).toEqual([]);
  });
});
