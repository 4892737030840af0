import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import { LOOPBACK } from "../../../local/ports.js";

/** A host behind the front. */
export interface Behind {
  readonly port: number;
  readonly isUp: () => boolean;
}

/** An upstream event or a call, as it came. */
export interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

/** What becomes of a request, which `pass` hands to a host. A fault may hand it over twice, or later. */
export type Tamper = (request: Request, pass: () => Promise<Answer>) => Promise<Answer>;

/** The service ends a call after 100 s, and so does a host's own limit before. */
const CALL_MS = 120_000;

/** Spreads calls and upstream events over the two Functions hosts, as Azure's front ends do. */
export class Front {
  tamper: Tamper | undefined;
  readonly #behind: readonly Behind[];
  readonly #agent = new Agent({ keepAlive: false, maxSockets: 256, timeout: CALL_MS });
  readonly #server: Server;
  #turn = 0;

  constructor(behind: readonly Behind[]) {
    this.#behind = behind;
    this.#server = createServer((incoming, answer) => void this.#handle(incoming, answer));
    this.#server.keepAliveTimeout = 60_000;
  }

  async open(port: number): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, LOOPBACK, resolve));
  }

  async close(): Promise<void> {
    this.#agent.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    try {
      const asked = await read(incoming);
      const pass = (): Promise<Answer> => this.#passOn(asked);
      const isUpstream = /\/upstream\//.test(asked.path) && asked.method === "POST";
      const answer = await (isUpstream && this.tamper ? this.tamper(asked, pass) : pass());
      const { "transfer-encoding": _, connection: __, ...headers } = answer.headers;
      outgoing
        .writeHead(answer.status, { ...headers, "content-length": answer.body.length })
        .end(answer.body);
    } catch {
      // Whoever asked sees what they would see of a dead host: a connection without an answer.
      outgoing.destroy();
    }
  }

  /** To the next host that is up; a host that dies meanwhile has its connection reset. */
  #passOn({ method, path, headers, body }: Request): Promise<Answer> {
    const up = this.#behind.filter(({ isUp }) => isUp());
    const hosts = up.length > 0 ? up : this.#behind;
    this.#turn += 1;
    const { port } = hosts[this.#turn % hosts.length]!;
    const { connection: _, "transfer-encoding": __, ...kept } = headers;
    const options = { host: LOOPBACK, port, method, path, agent: this.#agent, timeout: CALL_MS };
    return new Promise((resolve, reject) => {
      const call = request({ ...options, headers: { ...kept, "content-length": body.length } });
      call.once("error", reject);
      call.once("timeout", () => call.destroy(new Error("no answer")));
      call.once("response", (response) => {
        const { statusCode: status = 502, headers: answered } = response;
        bytesOf(response).then((bytes) => resolve({ status, headers: answered, body: bytes }), reject);
      });
      call.end(body);
    });
  }
}

async function read(incoming: IncomingMessage): Promise<Request> {
  const body = await bytesOf(incoming);
  const { method = "GET", url: path = "/", headers } = incoming;
  return { method, path, headers, body };
}

async function bytesOf(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) if (Buffer.isBuffer(chunk)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
