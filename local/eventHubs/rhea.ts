import { createRequire } from "node:module";
import type { Socket } from "node:net";

// What we use of rhea, an AMQP 1.0 protocol engine. Its own types leave out what a server needs (the state behind a
// link's attach, the delivery counters), so the used part is described here.

export interface RheaLink {
  readonly name: string;
  readonly connection: RheaConnection;
  readonly session: RheaSession;
  readonly source: { address?: string | null; filter?: Record<string, unknown> | null } | undefined;
  readonly target: { address?: string | null } | undefined;
  readonly properties: Record<string, unknown> | undefined;
  readonly desired_capabilities: unknown;
  readonly local: {
    readonly attach: {
      max_message_size?: number;
      offered_capabilities?: readonly string[];
      properties?: Record<string, unknown>;
    };
  };
  credit: number;
  set_source(fields: object): void;
  set_target(fields: object): void;
  close(error?: { condition: string; description: string }): void;
  is_open(): boolean;
  is_receiver(): boolean;
}

export interface RheaReceiver extends RheaLink {
  add_credit(count: number): void;
}

export interface RheaSender extends RheaLink {
  send(message: object, tag?: Buffer, format?: number): { id: number; data: readonly Buffer[] };
  set_drained(drained: boolean): void;
  readonly _draining: boolean;
}

export interface Transfer {
  performative: { message_format: number | undefined; handle: number; more?: boolean };
  payload: Buffer | undefined;
}

export interface RheaSession {
  readonly outgoing: { readonly next_pending_delivery: number; available(): number };
  readonly remote: { readonly handles: Record<number, RheaLink | undefined> };
  on_transfer(frame: Transfer): void;
}

export interface RheaDelivery {
  readonly id: number;
  readonly format: number | undefined;
  readonly settled: boolean;
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
  /** The size of the frame that is being collected, when it didn't arrive whole. */
  readonly frame_size: number | undefined;
  accept(socket: Socket): void;
  input(bytes: Buffer): void;
  close(error?: { condition: string; description: string }): void;
  is_open(): boolean;
  on(event: string, handler: (context: RheaContext) => void): void;
  /** Stops the connection's timers; what rhea itself does when the peer ends the stream. */
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
  sasl_server_mechanisms: Record<string, unknown> & { enable_anonymous(): void };
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

// rhea is CommonJS whose exports are one object made at run time; an import could name none of them.
export const rhea = createRequire(import.meta.url)("rhea") as Rhea;
