import type { Socket } from "node:net";
import { type Broker, MAX_MESSAGE_BYTES, notFound, type Peer, Refusal } from "./broker.js";
import { openReader, type Reader } from "./egress.js";
import { ACCEPTED, openSendingLink, receive, type SendingLink } from "./ingress.js";
import { answerRequest, type RequestAddress } from "./requests.js";
import type {
  RheaConnection,
  RheaContext,
  RheaLink,
  RheaReceiver,
  RheaSender,
  RheaSession,
  Transfer,
} from "./rhea.js";
import { type Claims, isAuthorized } from "./sas.js";

/** Of Event Hubs. */
export const MAX_FRAME_BYTES = 65_536;

const NO_BYTES = Buffer.alloc(0);

/** One client: its claims and its links. Nothing a client sends may end more than its own connection. */
export class Connection {
  readonly #connection: RheaConnection;
  readonly #socket: Socket;
  readonly #peer: Peer;
  readonly #claims: Claims = new Map();
  readonly #sending = new Map<RheaLink, SendingLink>();
  readonly #readers = new Map<RheaLink, Reader>();
  readonly #requests = new Map<RheaLink, RequestAddress>();
  readonly #replies = new Set<RheaSender>();
  /** Bytes received so far of a delivery that takes several frames, by link. */
  readonly #sizes = new Map<RheaLink, number>();

  constructor(connection: RheaConnection, socket: Socket, broker: Broker) {
    this.#connection = connection;
    this.#socket = socket;
    this.#peer = { broker, claims: this.#claims };
    this.#listen();
    socket.on("drain", () => this.#pumpAll());
    socket.on("close", () => this.#forget());
    boundFrames(connection, broker);
    connection.accept(socket);
  }

  /** Says goodbye and ends the socket; what was flushed has been confirmed before. */
  close(): void {
    this.#connection.close({ condition: "amqp:connection:forced", description: "The server is stopping." });
    // Behind rhea's own nextTick, which writes the close.
    setImmediate(() => this.#socket.destroySoon());
  }

  /** Detaches the links whose claim has run out and was not renewed. */
  checkClaims(): void {
    const gone = { condition: "amqp:unauthorized-access", description: "The token has expired." };
    for (const each of this.#sending.values())
      if (!isAuthorized(this.#claims, each.entity)) each.link.close(gone);
    for (const each of this.#readers.values())
      if (!isAuthorized(this.#claims, each.entity)) each.detach(gone.condition, gone.description);
  }

  #listen(): void {
    this.#on("session_open", (context) => this.#takeTransfersRaw(context.session));
    this.#on("receiver_open", (context) => this.#attach(context.receiver));
    this.#on("sender_open", (context) => this.#attach(context.sender));
    this.#on("message", (context) => this.#message(context));
    for (const event of ["sender_flow", "sendable"])
      this.#on(event, (context) => this.#readers.get(context.sender)?.pump());
    this.#on("sender_close", (context) => this.#detached(context.sender));
    this.#on("receiver_close", (context) => this.#detached(context.receiver));
    // rhea treats an unheard error event as a crash of the whole container.
    for (const event of ["sender_error", "receiver_error", "session_error", "session_close"])
      this.#on(event, () => {});
    for (const event of ["connection_error", "connection_close", "disconnected"]) this.#on(event, () => {});
    for (const event of ["error", "protocol_error"])
      this.#on(event, (context) =>
        this.#peer.broker.log("warn", `a connection was dropped: ${String(context)}`),
      );
  }

  #on(event: string, handle: (context: RheaContext) => void): void {
    this.#connection.on(event, (context) => {
      try {
        handle(context);
      } catch (error) {
        this.#peer.broker.log("error", `${event}: ${(error as Error).stack ?? String(error)}`);
        this.#connection.close({ condition: "amqp:internal-error", description: (error as Error).message });
      }
    });
  }

  /**
   * rhea decodes messages of format 0, and an event must stay as it is: with no format it leaves them alone. Here too
   * the bytes of what is longer than any event may be are dropped, so that a long message can't fill the memory.
   */
  #takeTransfersRaw(session: RheaSession): void {
    const original = session.on_transfer;
    session.on_transfer = (frame: Transfer) => {
      if (frame.performative.message_format === 0) frame.performative.message_format = undefined;
      frame.payload ??= NO_BYTES;
      const link = session.remote.handles[frame.performative.handle];
      if (link && (frame.performative.more || this.#sizes.has(link))) {
        const size = (this.#sizes.get(link) ?? 0) + frame.payload.length;
        this.#sizes.set(link, size);
        if (size > MAX_MESSAGE_BYTES) frame.payload = NO_BYTES;
      }
      original.call(session, frame);
    };
  }

  #attach(link: RheaLink): void {
    const sends = link.is_receiver();
    const address = String((sends ? link.target?.address : link.source?.address) ?? "");
    // The peer expects its own source and target back (AMQP 1.0 §2.6.3).
    link.set_source({ address: link.source?.address, filter: link.source?.filter });
    link.set_target({ address: link.target?.address });
    try {
      const kind = /^(?:.*\/)?(\$cbs|\$management)$/i.exec(address)?.[1]?.toLowerCase() as
        | RequestAddress
        | undefined;
      if (kind && sends) {
        this.#requests.set(link, kind);
        (link as RheaReceiver).add_credit(100);
      } else if (kind) this.#replies.add(link as RheaSender);
      else if (address === "") throw notFound(address);
      else if (sends) this.#sending.set(link, openSendingLink(this.#peer, link as RheaReceiver, address));
      else this.#readers.set(link, openReader(this.#peer, link as RheaSender, address));
    } catch (error) {
      if (!(error instanceof Refusal))
        this.#peer.broker.log("error", `${address}: ${(error as Error).stack}`);
      const condition = error instanceof Refusal ? error.condition : "amqp:internal-error";
      link.close({ condition, description: (error as Error).message });
    }
  }

  #message({ receiver, delivery, message }: RheaContext): void {
    const size = this.#sizes.get(receiver) ?? message.length;
    this.#sizes.delete(receiver);
    const sending = this.#sending.get(receiver);
    if (sending) {
      receive(sending, delivery, message, size, () => this.#cork());
      return;
    }
    const address = this.#requests.get(receiver);
    // Anything else was on its way when its link was refused or closed.
    delivery.update(true, ACCEPTED);
    if (!address || size > MAX_MESSAGE_BYTES) return;
    receiver.add_credit(1);
    // A tick later, when rhea has written the attach of a reply link that came along with the request.
    process.nextTick(() => this.#answer(address, message));
  }

  #answer(address: RequestAddress, request: Buffer): void {
    try {
      answerRequest(this.#peer, address, request, (replyTo) => this.#replyLink(address, replyTo));
    } catch (error) {
      this.#peer.broker.log("warn", `${address}: a request could not be read: ${(error as Error).message}`);
    }
  }

  /** Clients name their reply link by its name or by its target. */
  #replyLink(address: RequestAddress, replyTo: string): RheaSender | undefined {
    const links = [...this.#replies].filter((link) => link.source?.address?.toLowerCase().endsWith(address));
    return links.find((link) => link.name === replyTo || link.target?.address === replyTo) ?? links.at(-1);
  }

  /** Gathers the frames that rhea writes one by one into one write at the end of the tick. */
  #cork(): void {
    if (this.#socket.writableCorked > 0) return;
    this.#socket.cork();
    setImmediate(() => this.#socket.uncork());
  }

  #pumpAll(): void {
    for (const reader of this.#readers.values()) reader.pump();
  }

  #detached(link: RheaLink): void {
    this.#readers.get(link)?.forget();
    this.#readers.delete(link);
    this.#requests.delete(link);
    this.#replies.delete(link as RheaSender);
    this.#sizes.delete(link);
    const sending = this.#sending.get(link);
    if (sending) this.#peer.broker.numbered.delete(sending);
    this.#sending.delete(link);
  }

  #forget(): void {
    for (const link of [...this.#readers.keys(), ...this.#sending.keys()]) this.#detached(link);
    // A destroyed socket has no "end", so rhea wouldn't stop its heartbeat timers.
    this.#connection._disconnected();
  }
}

/** Drops a peer that announces a frame larger than was agreed (AMQP 1.0 §2.7.1), before rhea collects it. */
function boundFrames(connection: RheaConnection, broker: Broker): void {
  const input = connection.input;
  connection.input = (bytes: Buffer) => {
    input.call(connection, bytes);
    if ((connection.frame_size ?? 0) <= MAX_FRAME_BYTES) return;
    broker.log("warn", `a connection was dropped: it announced a frame of ${connection.frame_size} bytes`);
    connection.socket.destroy();
  };
}
