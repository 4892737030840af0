import { connect, createServer, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import { type Connection, createConnection } from "mysql2/promise";
import type { Certificate } from "./certificates.js";
import { type SocketServer, serving } from "./socketServer.js";
import type { TokenEndpoint } from "./tokenEndpoint.js";

/** The audience of tokens for Azure Database for MySQL. */
const AUDIENCE = "https://ossrdbms-aad.database.windows.net";

/** CLIENT_SSL. */
const TLS = 0x800;

/** A server as Azure Database for MySQL is to an identity, in front of a real one. */
export interface MySqlEntra extends SocketServer {
  /** The tokens that connections have come with, in order, also those refused. */
  readonly tokens: readonly string[];
  /** The users that let themselves be named. */
  readonly users: readonly string[];
  /** With false it does not offer TLS. */
  offersTls: boolean;
}

/**
 * Starts a server that takes TLS only, asks for a password in clear text, checks it as a token of `endpoint`,
 * and then hands the connection over to the server at `url`, logged in by that URL. The packets are those of
 * MySQL's "Connection Phase".
 */
export async function startMySqlEntra(
  url: string,
  certificate: Certificate,
  endpoint: TokenEndpoint,
): Promise<MySqlEntra> {
  const context = createSecureContext(certificate);
  const state = { tokens: [] as string[], users: [] as string[], offersTls: true };
  const greeting = await greetingOf(new URL(url));
  const server = createServer((socket) => {
    serve(socket).catch(() => socket.destroy());
  });

  async function serve(plain: Socket): Promise<void> {
    plain.write(greeting(state.offersTls));
    const start = await packetOf(plain);
    // An SSLRequest is the first 32 bytes of a HandshakeResponse41.
    if (start.length !== 36) return void plain.end(failure(start[3]! + 1, 3159, "HY000", "TLS is required"));
    const secure = new TLSSocket(plain, { isServer: true, secureContext: context });
    secure.on("error", () => plain.destroy());
    const response = await packetOf(secure);
    state.users.push(response.subarray(36, response.indexOf(0, 36)).toString());
    secure.write(packet(response[3]! + 1, Buffer.from("\xfemysql_clear_password\0", "latin1")));
    const answer = await packetOf(secure);
    const token = answer.subarray(4, -1).toString();
    state.tokens.push(token);
    try {
      if (answer.at(-1) !== 0) throw new Error("the password does not end with a zero byte");
      await endpoint.verify(token, AUDIENCE);
    } catch (error) {
      return void secure.end(
        failure(answer[3]! + 1, 1045, "28000", `Access denied: ${(error as Error).message}`),
      );
    }
    await handOver(secure, answer[3]! + 1, url);
  }

  return Object.assign(state, await serving(server));
}

/** A driver of the same kind logs in, so both sides have agreed on the same; then bytes go through. */
async function handOver(client: TLSSocket, sequence: number, url: string): Promise<void> {
  let behind: Connection;
  try {
    behind = await createConnection({ uri: url, charset: "utf8mb4", multipleStatements: true });
  } catch (error) {
    const {
      errno = 1105,
      sqlState = "HY000",
      message,
    } = error as Error & { errno?: number; sqlState?: string };
    return void client.end(failure(sequence, errno, sqlState, message));
  }
  behind.on("error", () => {});
  const { stream } = (behind as unknown as { connection: { stream: Socket } }).connection;
  stream.removeAllListeners("data");
  stream.on("error", () => {}).on("close", () => client.destroy());
  client.on("close", () => stream.destroy());
  client.write(packet(sequence, Buffer.from([0, 0, 0, 2, 0, 0, 0])));
  client.pipe(stream).pipe(client);
}

/**
 * The greeting (Protocol::HandshakeV10) of the server behind, with or without the capability TLS: what a
 * driver agrees on with this one must be what it agrees on with that one.
 */
async function greetingOf({ hostname, port }: URL): Promise<(offersTls: boolean) => Buffer> {
  const socket = connect(Number(port), hostname);
  const greeting = await packetOf(socket);
  socket.destroy();
  // The version, which ends with a zero byte, the connection's number, 8 bytes of data and a zero byte.
  const capabilities = greeting.indexOf(0, 5) + 1 + 4 + 8 + 1;
  return (offersTls) => {
    const changed = Buffer.from(greeting);
    const without = changed.readUInt16LE(capabilities) & ~TLS;
    changed.writeUInt16LE(without | (offersTls ? TLS : 0), capabilities);
    return changed;
  };
}

function failure(sequence: number, errno: number, sqlState: string, message: string): Buffer {
  const head = Buffer.from([0xff, errno & 0xff, errno >> 8]);
  return packet(sequence, Buffer.concat([head, Buffer.from(`#${sqlState}${message}`)]));
}

function packet(sequence: number, body: Buffer): Buffer {
  const { length } = body;
  return Buffer.concat([Buffer.from([length & 0xff, (length >> 8) & 0xff, length >> 16, sequence]), body]);
}

/** The next packet whole, with its head. What follows it stays in the socket. */
function packetOf(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const head = socket.read(4) as Buffer | null;
      if (!head) return void socket.once("readable", look);
      const length = head.readUIntLE(0, 3);
      const rest = (): void => {
        const body = socket.read(length) as Buffer | null;
        if (body) resolve(Buffer.concat([head, body]));
        else socket.once("readable", rest);
      };
      rest();
    };
    socket.once("close", () => reject(new Error("closed")));
    look();
  });
}
