import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import { type Server, start } from "../../local/eventHubs/server.js";
import {
  ATTACH,
  BareClient,
  binary,
  type Described,
  DISPOSITION,
  described,
  FLOW,
  type Frame,
  sectionsOf,
  source,
  TRANSFER,
  target,
  ubyte,
  uint,
  ulong,
  type Value,
} from "./eventHubsBareClient.js";

// What the tests of the bare client say most often.

export const KEY = "SAS_KEY_VALUE";
export const READER = "h/ConsumerGroups/$Default/Partitions/0";
export const SENDER = "h/Partitions/0";
export const SETTLED = 1;
export const SECOND = 1;

let data: string;
let server: Server;
const clients: BareClient[] = [];

/** A server of its own for each test of a file. */
export function serveEachTest(): void {
  beforeEach(async () => {
    data = mkdtempSync(join(tmpdir(), "event-hubs-amqp-"));
    const hub = { partitions: 2, retentionHours: 1, consumerGroups: ["Second"] };
    server = await start({ port: 0, data, hubs: { h: hub } });
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await server.close();
    rmSync(data, { recursive: true, force: true });
  });
}

/** A connection on which nothing has been sent. */
export async function dial(): Promise<BareClient> {
  const client = await BareClient.connect(server.port);
  clients.push(client);
  return client;
}

/** A connection with a session on channel 0; with the key unless told. */
export async function connect({ withKey = true, maxFrameSize = 65_536 } = {}): Promise<BareClient> {
  const client = await dial();
  if (withKey) expect(await client.login("RootManageSharedAccessKey", KEY)).toBe(0);
  client.open(maxFrameSize);
  return client;
}

interface Attaching {
  readonly handle?: number;
  readonly name?: string;
  readonly channel?: number;
  readonly snd?: number;
  readonly rcv?: number;
  readonly filters?: Value;
  readonly initial?: number;
  readonly maxSize?: number;
  readonly capabilities?: Value;
  readonly properties?: Value;
}

/** Attaches a reader or a sender; the answer is not waited for. */
export function attach(client: BareClient, reads: boolean, address: string, more: Attaching = {}): void {
  const { handle = 0, name = `link ${handle}`, channel = 0, snd, rcv } = more;
  const fields: Value[] = [name, uint(handle), reads];
  fields.push(snd === undefined ? null : ubyte(snd), rcv === undefined ? null : ubyte(rcv));
  fields.push(source(reads ? address : null, more.filters ?? null), target(reads ? null : address));
  fields.push(null, null, reads ? null : uint(more.initial ?? 0));
  fields.push(more.maxSize === undefined ? null : ulong(more.maxSize));
  fields.push(null, more.capabilities ?? null, more.properties ?? null);
  client.send(ATTACH, fields, { channel });
}

export const named = (name: string) => (frame: Frame) => frame.fields[0] === name;

export async function attached(
  client: BareClient,
  reads: boolean,
  address: string,
  more?: Attaching,
): Promise<Frame> {
  attach(client, reads, address, more);
  return client.next(ATTACH, named(more?.name ?? `link ${more?.handle ?? 0}`));
}

interface Flowing {
  readonly handle?: number;
  readonly channel?: number;
  readonly count?: number;
  readonly drain?: boolean;
  readonly echo?: boolean;
}

export function flow(client: BareClient, credit: number, more: Flowing = {}): void {
  const session = [uint(0), uint(100_000), uint(0), uint(100_000)];
  const link = [uint(more.handle ?? 0), uint(more.count ?? 0), uint(credit), null];
  const { channel = 0, drain = null, echo = null } = more;
  client.send(FLOW, [...session, ...link, drain, echo], { channel });
}

export const event = (text: string): Buffer => described(ulong(0x75), binary(Buffer.from(text)));

interface Sending {
  readonly handle?: number;
  readonly settled?: boolean;
  readonly more?: boolean;
  readonly aborted?: boolean;
  readonly tag?: string;
  readonly format?: number;
}

export function transfer(client: BareClient, id: number, payload: Buffer, options: Sending = {}): void {
  const { handle = 0, settled = null, more = null, aborted = null, tag = String(id), format = 0 } = options;
  const fields = [uint(handle), uint(id), binary(Buffer.from(tag)), uint(format), settled, more];
  client.send(TRANSFER, [...fields, null, null, null, aborted], { payload });
}

export const textOf = (frame: Frame): string => String(sectionsOf(frame.payload).get(0x75));
export const handleIs = (handle: number) => (frame: Frame) => frame.fields[0] === handle;
export const conditionOf = (error: unknown): unknown => ((error as Described).value as unknown[])[0];

/** Writes events to partition 0 on a connection of their own. */
export async function fill(texts: readonly string[]): Promise<void> {
  const client = await connect();
  await attached(client, false, SENDER);
  for (let at = 0; at < texts.length; at += 1_000) {
    const events = texts.slice(at, at + 1_000).map((text) => described(ulong(0x75), binary(event(text))));
    transfer(client, at / 1_000, Buffer.concat(events), { format: 0x80013700 });
    expect((await client.next(DISPOSITION)).fields[4]).toMatchObject({ descriptor: 0x24 });
  }
}

/** The texts of the next events that come. */
export async function read(client: BareClient, count: number): Promise<string[]> {
  const texts: string[] = [];
  while (texts.length < count) texts.push(textOf(await client.next(TRANSFER)));
  return texts;
}

export function token(key: string, entity = "h"): string {
  const se = String(Math.floor(Date.now() / 1000) + 600);
  const sr = encodeURIComponent(`sb://localhost/${entity}`);
  const sig = createHmac("sha256", key).update(`${sr}\n${se}`).digest("base64");
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${se}&skn=RootManageSharedAccessKey`;
}

export const numbers = (count: number): string[] =>
  Array.from({ length: count }, (_, number) => String(number));
