import type { AddressInfo, Server, Socket } from "node:net";
import { connect } from "node:net";
import { LOOPBACK } from "../../local/ports.js";

/** A server of sockets that a test may break. */
export interface SocketServer {
  readonly port: number;
  /** Breaks all connections. */
  cut(): void;
  close(): Promise<void>;
}

/** Has a server listen on a free port. `event` tells of its connections: those of TLS come by another name. */
export async function serving(
  server: Server,
  event: "connection" | "secureConnection" = "connection",
): Promise<SocketServer> {
  const sockets = new Set<Socket>();
  server.on(event, (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => void server.listen(0, LOOPBACK, resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        cut();
      }),
  };
}

/** Passes everything on between a client and a port of this machine. One end takes the other with it. */
export function passOn(client: Socket, to: number): void {
  const behind = connect(to, LOOPBACK);
  client.on("close", () => behind.destroy());
  behind.on("error", () => {}).on("close", () => client.destroy());
  client.pipe(behind).pipe(client);
}
