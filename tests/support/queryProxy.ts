import { connect, createServer } from "node:net";
import { LOOPBACK } from "../../local/ports.js";

/** The first byte of a command that is a statement (MySQL's protocol, COM_QUERY). */
const COM_QUERY = 3;
/** Length and number of a packet stand before it. */
const HEAD = 4;

/** MySQL 8 has the numbers of the statement's attributes before its text: 0 in 1 set. */
const textOf = (packet: Buffer): string =>
  packet.subarray(packet[HEAD + 1] === 0 ? HEAD + 3 : HEAD + 1).toString();

export interface QueryProxy {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Passes on to a MySQL or MariaDB, without TLS. After a statement of which `endsAt` says so the server's answer
 * stays here, and the connection is reset: the server has made the statement, and its client never hears of it.
 */
export async function startQueryProxy(
  target: number,
  endsAt: (sql: string) => boolean,
  onEnd: () => void = () => {},
): Promise<QueryProxy> {
  const server = createServer((near) => {
    const far = connect({ host: LOOPBACK, port: target, noDelay: true });
    let isEnding = false;
    const end = (): void => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) socket.on("error", end).on("close", end);
    near.on("data", (bytes) => {
      // A client waits for each answer, and its statements here fit in one chunk.
      if (bytes[HEAD] === COM_QUERY) isEnding = endsAt(textOf(bytes));
      far.write(bytes);
    });
    far.on("data", (bytes) => {
      if (!isEnding) return void near.write(bytes);
      onEnd();
      near.resetAndDestroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));
  return {
    port: (server.address() as { port: number }).port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
