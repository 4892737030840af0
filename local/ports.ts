import { createServer, type Server } from "node:net";

/** Loopback only: nothing of the local stack is reachable from another machine. */
export const LOOPBACK = "127.0.0.1";

export interface PortWish {
  /** What listens there, in the words of the message about a taken port. */
  readonly service: string;
  /** Name of the environment variable that chooses another port. */
  readonly variable: string;
  readonly port: number;
}

/** `count` different ports that are free on 127.0.0.1 at this moment. */
export async function freePorts(count: number): Promise<number[]> {
  // All are held until the last one is known, so that no number comes twice.
  const holders = await Promise.all(Array.from({ length: count }, () => listen(0)));
  const ports = holders.map((holder) => (holder.address() as { port: number }).port);
  await Promise.all(holders.map((holder) => new Promise((resolve) => holder.close(resolve))));
  return ports;
}

/** One port that is free on 127.0.0.1 at this moment. */
export async function freePort(): Promise<number> {
  return (await freePorts(1))[0]!;
}

/** The port in the environment variable `variable`, or `otherwise`; throws when it holds no port number. */
export function portFromEnvironment(env: NodeJS.ProcessEnv, variable: string, otherwise: number): number {
  const text = env[variable];
  if (!text) return otherwise;
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new Error(`${variable} is "${text}" but must be a port number from 1 to 65535`);
}

/** Throws one error that names every taken port of `wishes`, its service and the ways out. */
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
  throw new Error(`${problems.join("\n")}\nor start with --ports auto, which takes free ports`);
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
