import { createRequire } from "node:module";
import type { Socket } from "node:net";

// The used part of rhea, an AMQP 1.0 protocol engine. Its own types leave out what a server needs (the state
// behind a link's attach, the delivery counters).

/** The fields of a frame, by name; null where the peer has left one out. */
export interface Performative {
  readonly name: string;
  readonly handle: number;
  /** True when the peer is the receiver. */
  readonly role: boolean;
  readonly initial_delivery_count: number | null | undefined;
  readonly closed: boolean | null | undefined;
  readonly echo: boolean | null | undefined;
  readonly first: number;
  readonly last: number | null | undefined;
}

export interface Frame {
  readonly channel: number;
  readonly performative: Performative;
}

export interface RheaLink {
  readonly connection: RheaConnection;
  readonly session: RheaSession;
  readonly source: Terminus | null | undefined;
  readonly target: Terminus | null | undefined;
  readonly snd_settle_mode: number | null | undefined;
  readonly rcv_settle_mode: number | null | undefined;
  readonly max_message_size: number | null | undefined;
  readonly properties: Record<string, unknown> | undefined;
  readonly desired_capabilities: unknown;
  readonly local: {
    readonly attach: {
      name: string;
      /** True when we are the receiver. */
      readonly role: boolean;
      source?: unknown;
      target?: unknown;
      snd_settle_mode?: number;
      rcv_settle_mode?: number;
      max_message_size?: number;
      offered_capabilities?: readonly string[];
      properties?: Record<string, unknown>;
    };
  };
  credit: number;
  delivery_count: number;
  issue_flow: boolean;
  /** The delivery of which more transfers are to come. */
  _incomplete: { settled: boolean; remote_settled: boolean } | undefined;
  on_attach(frame: Frame): void;
  set_source(fields: object): void;
  set_target(fields: object): void;
  close(error?: { condition: string; description: string }): void;
  detach(): void;
  remove(): void;
  is_open(): boolean;
  is_receiver(): boolean;
}

export interface Terminus {
  readonly address?: string | null;
  readonly filter?: Record<string, unknown> | null;
}

export interface RheaReceiver extends RheaLink {
  add_credit(count: number): void;
}

export interface RheaSender extends RheaLink {
  send(message: object, tag?: Buffer, format?: number): { id: number; data: readonly Buffer[] };
  set_drained(drained: boolean): void;
  _get_drain(): boolean;
  _draining: boolean;
}

export interface Transfer {
  readonly performative: {
    message_format: number | undefined;
    readonly handle: number;
    readonly delivery_id?: number | null;
    readonly more?: boolean | null;
    readonly settled?: boolean | null;
    readonly aborted?: boolean | null;
  };
  payload: Buffer | undefined;
}

/** A delivery on its way out, as the session keeps it until both sides have settled it. */
export interface Outgoing {
  readonly link: RheaLink;
  settled: boolean;
  remote_settled: boolean;
}

export interface RheaSession {
  readonly connection: RheaConnection;
  readonly local: { readonly begin: { handle_max?: number } };
  readonly outgoing: {
    readonly next_pending_delivery: number;
    readonly deliveries: { readonly entries: readonly (Outgoing | undefined)[] };
    available(): number;
    transfer_window(): number;
  };
  readonly incoming: {
    next_delivery_id: number | undefined;
    next_transfer_id: number;
  };
  readonly remote: { readonly channel?: number; readonly handles: Record<number, RheaLink | undefined> };
  create_sender(name: string): RheaLink;
  create_receiver(name: string): RheaLink;
  on_attach(frame: Frame): void;
  on_detach(frame: Frame): void;
  on_flow(frame: Frame): void;
  on_transfer(frame: Transfer): void;
  on_disposition(frame: Frame): void;
  close(error?: { condition: string; description: string }): void;
  dispatch(event: string, context: unknown): void;
  _context(): unknown;
  _write_flow(): void;
}

export interface RheaDelivery {
  readonly id: number;
  readonly format: number | null | undefined;
  readonly link: RheaLink;
  settled: boolean;
  remote_settled: boolean;
  update(settled: boolean, state: unknown): void;
}

export interface RheaContext {
  readonly connection: RheaConnection;
  readonly session: RheaSession;
  readonly receiver: RheaReceiver;
  readonly sender: RheaSender;
  readonly delivery: RheaDelivery;
  readonly message: Buffer;
  readonly error?: { message?: string; condition?: string; description?: string };
}

export interface RheaConnection {
  readonly socket: Socket;
  /** The size in bytes of the frame that is being collected, when it has not arrived whole. */
  readonly frame_size: number | undefined;
  readonly remote_channel_map: Record<number, RheaSession | undefined>;
  on_detach(frame: Frame): void;
  _process(): void;
  accept(socket: Socket): void;
  input(bytes: Buffer): void;
  close(error?: { condition: string; description: string }): void;
  is_open(): boolean;
  on(event: string, handler: (context: RheaContext) => void): void;
  _register(): void;
  _write_frame(
    channel: number | undefined,
    performative: { value: unknown[]; constructor: { descriptor: { numeric: number } } } | undefined,
    payload?: Buffer,
  ): void;
  /** Stops the connection's timers, as rhea itself does when the peer ends the stream. */
  _disconnected(): void;
}

/** A request or a reply on `$cbs` and `$management`, decoded. */
export interface RheaMessage {
  message_id?: unknown;
  correlation_id?: unknown;
  reply_to?: string;
  application_properties?: Record<string, unknown>;
  body?: unknown;
}

interface RheaContainer {
  sasl_server_mechanisms: Record<string, unknown> & {
    enable_anonymous(): void;
    enable_plain(isRight: (name: string | null, password: string | null) => boolean): void;
  };
  create_connection(options: object): RheaConnection;
  on(event: string, handler: (context: unknown) => void): void;
}

interface Rhea {
  create_container(options: object): RheaContainer;
  readonly message: {
    decode(bytes: Buffer): RheaMessage;
    accepted(): { described(): unknown };
    rejected(fields: object): { described(): unknown };
  };
  readonly types: {
    wrap_int(value: number): unknown;
    wrap_short(value: number): unknown;
    wrap_long(value: number): unknown;
    wrap_symbol(value: string): unknown;
    wrap_map(value: object): unknown;
    wrap_timestamp(value: number): unknown;
    wrap_array(values: readonly unknown[], type: number): unknown;
  };
}

/** rhea is CommonJS whose exports are one object made at run time; an import could name none of them. */
export const rhea = createRequire(import.meta.url)("rhea") as Rhea;
