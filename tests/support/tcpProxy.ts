import { connect, createServer, type Socket } from "node:net";
import { LOOPBACK } from "../../local/ports.js";

/** A network between two programs that a test can cut. */
export interface TcpProxy {
  readonly port: number;
  /** How many connections there have been. */
  readonly opened: number;
  /** While set, what the server says stays with the proxy: its peer has done the work, and nobody hears of it. */
  isMute: boolean;
  /** Makes a dead network of every connection: nothing goes through it any more, and nobody is told. New ones live. */
  forget(): void;
  /** Resets every connection, and says how many. What was under way in either direction is lost. */
  cut(): number;
  close(): Promise<void>;
}

/** Passes on to `target`, a port of this machine, which may be set later. */
export async function startTcpProxy(target: () => number): Promise<TcpProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  const forgotten = new WeakSet<object>();
  const server = createServer((near) => {
    const far = connect({ host: LOOPBACK, port: target(), noDelay: true });
    near.setNoDelay(true);
    const pair = [near, far] as const;
    pairs.add(pair);
    proxy.opened += 1;
    const end = (): void => {
      pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of pair) socket.on("error", end).on("close", end);
    near.on("data", (bytes) => forgotten.has(pair) || far.write(bytes));
    far.on("data", (bytes) => proxy.isMute || forgotten.has(pair) || near.write(bytes));
  });
  const proxy = {
    port: 0,
    opened: 0,
    isMute: false,
    forget() {
      for (const pair of pairs) forgotten.add(pair);
    },
    cut() {
      const { size } = pairs;
      for (const [near, far] of pairs) {
        near.resetAndDestroy();
        far.resetAndDestroy();
      }
      return size;
    },
    async close() {
      proxy.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));
  proxy.port = (server.address() as { port: number }).port;
  return proxy;
}
