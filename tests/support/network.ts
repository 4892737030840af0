import { connect, createServer, type Socket } from "node:net";
import { LOOPBACK } from "../../local/ports.js";

/** A network below WebSocket, between a program and the socket service. */
export interface Network {
  /** Stands for the socket service's address. */
  readonly url: string;
  /** How many connections there have been. */
  readonly opened: number;
  /** Breaks all connections. */
  cut(): void;
  /** From now on nothing passes on the connections there are, and nobody is told; new ones are as before. */
  silence(): void;
  close(): Promise<void>;
}

export async function startNetwork(webPubSub: string): Promise<Network> {
  const target = new URL(webPubSub);
  const pairs = new Set<[Socket, Socket]>();
  const silent = new Set<Socket>();
  let opened = 0;
  const server = createServer((near) => {
    opened += 1;
    const far = connect(Number(target.port), target.hostname);
    const pair: [Socket, Socket] = [near, far];
    pairs.add(pair);
    near.pipe(far);
    far.pipe(near);
    for (const socket of pair) {
      socket.on("error", () => {});
      socket.once("close", () => {
        // That the service has given up a silent connection does not reach the program either.
        if (!silent.has(socket) && pairs.delete(pair)) for (const other of pair) other.destroy();
      });
    }
  });
  const cut = (): void => {
    for (const pair of pairs) for (const socket of pair) socket.destroy();
  };
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `ws://${LOOPBACK}:${port}${target.pathname}`,
    get opened() {
      return opened;
    },
    cut,
    silence() {
      for (const [near, far] of pairs) {
        near.unpipe(far).pause();
        far.unpipe(near).pause();
        silent.add(near).add(far);
      }
    },
    async close() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
