import { randomInt } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isRunning } from "./processes.js";

/** Loopback only: nothing of the local stack is reachable from another machine. */
export const LOOPBACK = "127.0.0.1";

export interface PortWish {
  /** The service that listens there, as the message about a taken port names it. */
  readonly service: string;
  /** Name of the environment variable that chooses another port. */
  readonly variable: string;
  readonly port: number;
}

/**
 * The range is below the ports that Linux, macOS and Windows give to outgoing connections. One of those could
 * take a port after it was found free and before a server listens there.
 */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_767;
const PORTS = LAST_PORT - FIRST_PORT + 1;
/**
 * The next port to try. Each process begins at a random one, so two that look at the same moment find
 * different ports.
 */
let next = randomInt(PORTS);

/**
 * A file for each port that a process was given, with its pid. A server that is down for a moment would else find its
 * port taken by another stack, and its clients would speak to that one.
 */
const CLAIMS = join(tmpdir(), "nonstop-chat-ports");
const claimed = new Set<string>();
let hasBegun = false;

/**
 * Returns `count` different ports that are free on 127.0.0.1 at this moment. As long as this process is there no other
 * one is given them. A process gets no port twice before it has had all.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let tries = 0; ports.length < count; tries += 1) {
    if (tries === PORTS) throw new Error(`no ${count} ports from ${FIRST_PORT} to ${LAST_PORT} are free`);
    const port = FIRST_PORT + next;
    next = (next + 1) % PORTS;
    if (!claim(port)) continue;
    if (await isTaken(port)) release(port);
    else ports.push(port);
  }
  return ports;
}

const claimOf = (port: number): string => join(CLAIMS, String(port));

/** Notes that the port is this process's. Answers whether no other living process has it. */
function claim(port: number): boolean {
  if (!hasBegun) begin();
  const file = claimOf(port);
  try {
    writeFileSync(file, String(process.pid), { flag: "wx" });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Where nothing can be noted, ports are free that nobody listens on.
    if (code !== "EEXIST") return true;
    if (!isOver(file)) return false;
    writeFileSync(file, String(process.pid));
  }
  claimed.add(file);
  return true;
}

function begin(): void {
  hasBegun = true;
  try {
    mkdirSync(CLAIMS, { recursive: true });
  } catch {
    return;
  }
  process.once("exit", () => {
    for (const file of claimed) rmSync(file, { force: true });
  });
}

/** Whether a claim is of this process, or of one that has ended. */
function isOver(file: string): boolean {
  try {
    const pid = Number(readFileSync(file, "utf8"));
    return pid === process.pid || (pid > 0 && !isRunning(pid));
  } catch {
    // It has just gone, or is being written.
    return false;
  }
}

function release(port: number): void {
  const file = claimOf(port);
  if (claimed.delete(file)) rmSync(file, { force: true });
}

/** One port that is free on 127.0.0.1 at this moment. */
export async function freePort(): Promise<number> {
  return (await freePorts(1))[0]!;
}

/**
 * The port in the environment variable `variable`, or `otherwise`. Throws when the variable holds no port
 * number.
 */
export function portFromEnvironment(env: NodeJS.ProcessEnv, variable: string, otherwise: number): number {
  const text = env[variable];
  if (!text) return otherwise;
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new Error(`${variable} is "${text}" but must be a port number from 1 to 65535`);
}

/** Throws one error that names every taken port of `wishes`, its service and what to do. */
export async function requireFreePorts(wishes: readonly PortWish[]): Promise<void> {
  const problems: string[] = [];
  const firstWith = new Map<number, PortWish>();
  for (const wish of wishes) {
    const other = firstWith.get(wish.port);
    firstWith.set(wish.port, other ?? wish);
    if (other) problems.push(`${wish.variable} and ${other.variable} are both ${wish.port}`);
    else if (await isTaken(wish.port))
      problems.push(`port ${wish.port} for ${wish.service} is taken: set ${wish.variable} to another one`);
  }
  if (problems.length === 0) return;
  throw new Error(`${problems.join("\n")}\nor take free ports: npm start -- --ports auto`);
}

async function isTaken(port: number): Promise<boolean> {
  try {
    const holder = await listen(port);
    await new Promise((resolve) => holder.close(resolve));
    return false;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") return true;
    if (code === "EACCES")
      throw new Error(`port ${port} may not be used by this user: choose one above 1023`);
    throw error;
  }
}

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => resolve(server));
  });
}
