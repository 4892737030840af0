import type { Socket } from "node:net";
import { entityOf } from "./address.js";
import { type Broker, MAX_MESSAGE_BYTES, type Peer } from "./broker.js";
import { openReader, type Reader } from "./egress.js";
import { correct, tolerate, writeAllFields } from "./engine.js";
import { ACCEPTED, openSendingLink, receive, type SendingLink } from "./ingress.js";
import { agree, refuse, settleAll, settleSecond } from "./links.js";
import { notFound, Refusal } from "./refusals.js";
import { ReplyLink, type RequestAddress } from "./replies.js";
import { answerRequest } from "./requests.js";
import {
  type RheaConnection,
  type RheaContext,
  type RheaDelivery,
  type RheaLink,
  type RheaReceiver,
  type RheaSender,
  type RheaSession,
  rhea,
  type Transfer,
} from "./rhea.js";
import { addClaim, type Claims, isAuthorized, isKey } from "./sas.js";

/** The limit of Event Hubs for a frame, in bytes. */
const MAX_FRAME_BYTES = 65_536;

/** The highest channel. A connection can have one session more than this. */
const CHANNEL_MAX = 255;

const NO_BYTES = Buffer.alloc(0);

/** How many requests a client may have on the way. */
const REQUEST_CREDIT = 100;

/** One client: its claims and its links. Nothing that a client sends may end more than its own connection. */
export class Connection {
  readonly #connection: RheaConnection;
  readonly #socket: Socket;
  readonly #peer: Peer;
  readonly #claims: Claims = new Map();
  readonly #sending = new Map<RheaLink, SendingLink>();
  readonly #readers = new Map<RheaLink, Reader>();
  readonly #requests = new Map<RheaLink, RequestAddress>();
  readonly #replies = new Map<RheaLink, ReplyLink>();
  /** Bytes received so far of a delivery that takes several frames, by link. */
  readonly #sizes = new Map<RheaLink, number>();

  constructor(socket: Socket, broker: Broker) {
    this.#connection = openConnection((name, key) => this.#login(name, key));
    this.#socket = socket;
    this.#peer = { broker, claims: this.#claims };
    this.#listen();
    socket.on("drain", () => this.#pumpAll());
    socket.on("close", () => this.#forget());
    writeAllFields(this.#connection);
    tolerate(this.#connection);
    boundFrames(this.#connection, broker);
    this.#connection.accept(socket);
  }

  /** Says goodbye and ends the socket. Sends that were flushed were confirmed before. */
  close(): void {
    this.#connection.close({ condition: "amqp:connection:forced", description: "The server is stopping." });
    // rhea writes the close in its own nextTick, which comes first.
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

  /**
   * Checks SASL PLAIN with a shared access key, which grants everything for as long as the connection lasts.
   */
  #login(name: string | null, key: string | null): boolean {
    if (!isKey(name, key, this.#peer.broker.keys)) return false;
    addClaim(this.#claims, "", Number.POSITIVE_INFINITY);
    return true;
  }

  #listen(): void {
    this.#on("session_open", ({ session }) => this.#begin(session));
    this.#on("receiver_open", (context) => this.#attach(context.receiver));
    this.#on("sender_open", (context) => this.#attach(context.sender));
    this.#on("message", (context) => this.#message(context));
    for (const event of ["sender_flow", "sendable"]) this.#on(event, ({ sender }) => this.#pumpSoon(sender));
    this.#on("sender_close", (context) => this.#detached(context.sender));
    this.#on("receiver_close", (context) => this.#detached(context.receiver));
    for (const event of ["accepted", "rejected", "released", "modified"])
      this.#on(event, ({ delivery }) => settleSecond(delivery));
    this.#on("session_close", ({ session }) => this.#detachAll((link) => link.session === session));
    this.#on("connection_close", () => this.#detachAll(() => true));
    // rhea treats an unheard error event as a crash of the whole container.
    for (const event of ["sender_error", "receiver_error", "session_error"]) this.#on(event, () => {});
    for (const event of ["connection_error", "disconnected"]) this.#on(event, () => {});
    for (const event of ["error", "protocol_error"]) this.#on(event, (error) => this.#broken(error));
  }

  /** The peer has broken the protocol. It is told so before rhea ends the socket (AMQP 1.0 §2.4.3). */
  #broken(error: unknown): void {
    this.#peer.broker.log("warn", `a connection was dropped: ${String(error)}`);
    this.#connection.close({ condition: "amqp:connection:framing-error", description: String(error) });
    this.#connection._process();
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

  #begin(session: RheaSession): void {
    if ((session.remote.channel ?? 0) > CHANNEL_MAX) {
      const description = `The channel ${session.remote.channel} is above ${CHANNEL_MAX}.`;
      this.#connection.close({ condition: "amqp:connection:framing-error", description });
    }
    correct(session, (link, frame) => this.#takeRaw(link, frame));
  }

  /**
   * rhea decodes messages of format 0, but an event must stay as it is, and rhea leaves messages without a
   * format alone. A message that is longer than any event may be loses its bytes here, so that it can't fill
   * the memory.
   */
  #takeRaw(link: RheaLink, frame: Transfer): void {
    if (frame.performative.message_format === 0) frame.performative.message_format = undefined;
    // An aborted delivery has left its size behind.
    if (!link._incomplete) this.#sizes.delete(link);
    if (!frame.performative.more && !this.#sizes.has(link)) return;
    const size = (this.#sizes.get(link) ?? 0) + (frame.payload?.length ?? 0);
    this.#sizes.set(link, size);
    if (size > MAX_MESSAGE_BYTES) frame.payload = NO_BYTES;
  }

  #attach(link: RheaLink): void {
    const sends = link.is_receiver();
    const address = String((sends ? link.target?.address : link.source?.address) ?? "");
    this.#steal(link);
    agree(link);
    try {
      this.#open(link, entityOf(address), sends);
    } catch (error) {
      if (!(error instanceof Refusal))
        this.#peer.broker.log("error", `${address}: ${(error as Error).stack}`);
      const condition = error instanceof Refusal ? error.condition : "amqp:internal-error";
      refuse(link, condition, (error as Error).message);
    }
  }

  #open(link: RheaLink, entity: string, sends: boolean): void {
    const address = /^(?:.*\/)?(\$cbs|\$management)$/i.exec(entity)?.[1]?.toLowerCase() as
      | RequestAddress
      | undefined;
    if (entity === "") throw notFound(entity);
    if (address && sends) {
      this.#requests.set(link, address);
      (link as RheaReceiver).add_credit(REQUEST_CREDIT);
    } else if (address) this.#replies.set(link, new ReplyLink(link as RheaSender, address));
    else if (sends) this.#sending.set(link, openSendingLink(this.#peer, link as RheaReceiver, entity));
    else this.#readers.set(link, openReader(this.#peer, link as RheaSender, entity));
  }

  /** A second attach with the name of an open link takes its place (AMQP 1.0 §2.6.1). */
  #steal(newer: RheaLink): void {
    const { name, role } = newer.local.attach;
    for (const older of this.#links()) {
      if (older.local.attach.name !== name || older.local.attach.role !== role) continue;
      this.#detached(older);
      older.close({
        condition: "amqp:link:stolen",
        description: `Another link named '${name}' was attached.`,
      });
    }
  }

  #message({ receiver, delivery, message }: RheaContext): void {
    const size = this.#sizes.get(receiver) ?? message.length;
    this.#sizes.delete(receiver);
    const sending = this.#sending.get(receiver);
    const address = this.#requests.get(receiver);
    if (!receiver.is_open() || (!sending && !address)) {
      // The message was on its way when its link was refused or closed. It is not stored, and its sender is
      // not told.
      delivery.settled = true;
    } else if (sending) receive(sending, delivery, message, size, () => this.#cork());
    else if (address)
      this.#request(address, receiver, delivery, size > MAX_MESSAGE_BYTES ? undefined : message);
  }

  #request(
    address: RequestAddress,
    receiver: RheaReceiver,
    delivery: RheaDelivery,
    request: Buffer | undefined,
  ): void {
    delivery.update(true, ACCEPTED);
    receiver.add_credit(1);
    // In the next tick rhea has written the attach of a reply link that came along with the request.
    if (request) process.nextTick(() => this.#answer(address, request));
  }

  #answer(address: RequestAddress, request: Buffer): void {
    try {
      answerRequest(this.#peer, address, request, (replyTo) => this.#replyLink(address, replyTo));
    } catch (error) {
      this.#peer.broker.log("warn", `${address}: a request could not be read: ${(error as Error).message}`);
    }
  }

  #replyLink(address: RequestAddress, replyTo: string): ReplyLink | undefined {
    const links = [...this.#replies.values()].filter((each) => each.address === address);
    return links.find((each) => each.isNamed(replyTo)) ?? links.at(-1);
  }

  /** Gathers the frames that rhea writes one by one into one write at the end of the tick. */
  #cork(): void {
    if (this.#socket.writableCorked > 0) return;
    this.#socket.cork();
    setImmediate(() => this.#socket.uncork());
  }

  /**
   * Pumps after everything that came in one read. The next frame may take the credit back or detach the link,
   * and a message that rhea already had would then hold the session back for ever.
   */
  #pumpSoon(link: RheaLink): void {
    process.nextTick(() => {
      this.#readers.get(link)?.pump();
      this.#replies.get(link)?.pump();
    });
  }

  #pumpAll(): void {
    for (const reader of this.#readers.values()) reader.pump();
  }

  #links(): RheaLink[] {
    return [this.#readers, this.#sending, this.#requests, this.#replies].flatMap((links) => [
      ...links.keys(),
    ]);
  }

  #detached(link: RheaLink): void {
    this.#readers.get(link)?.forget();
    this.#readers.delete(link);
    this.#requests.delete(link);
    this.#replies.delete(link);
    this.#sizes.delete(link);
    this.#sending.get(link)?.producer?.detach();
    this.#sending.delete(link);
    settleAll(link);
  }

  #detachAll(gone: (link: RheaLink) => boolean): void {
    for (const link of this.#links()) if (gone(link)) this.#detached(link);
  }

  #forget(): void {
    this.#detachAll(() => true);
    // A destroyed socket has no "end", so rhea wouldn't stop its heartbeat timers.
    this.#connection._disconnected();
  }
}

function openConnection(isKey: (name: string | null, key: string | null) => boolean): RheaConnection {
  const container = rhea.create_container({ id: "local-event-hubs" });
  const mechanisms = container.sasl_server_mechanisms;
  mechanisms.enable_anonymous();
  // Other SDKs choose this mechanism when claims follow over $cbs. Nothing is checked at this stage, as with
  // ANONYMOUS.
  mechanisms["MSSBCBS"] = mechanisms["ANONYMOUS"];
  mechanisms.enable_plain(isKey);
  return container.create_connection({
    receiver_options: { autoaccept: false, credit_window: 0 },
    idle_time_out: 60_000,
    max_frame_size: MAX_FRAME_BYTES,
    channel_max: CHANNEL_MAX,
    // Room for the credit of many links: rhea throws when more deliveries than this wait for their answers.
    session_buffer_size: { incoming: 262_144 },
    tcp_no_delay: true,
    reconnect: false,
  });
}

/** Drops a peer that announces a larger frame than was agreed (AMQP 1.0 §2.7.1), before rhea collects it. */
function boundFrames(connection: RheaConnection, broker: Broker): void {
  const input = connection.input;
  connection.input = (bytes: Buffer) => {
    input.call(connection, bytes);
    if ((connection.frame_size ?? 0) <= MAX_FRAME_BYTES) return;
    broker.log("warn", `a connection was dropped: it announced a frame of ${connection.frame_size} bytes`);
    connection.socket.destroy();
  };
}
