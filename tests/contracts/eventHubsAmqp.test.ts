import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Server, start } from "../../local/eventHubs/server.js";
import {
  ACCEPTED,
  ATTACH,
  BareClient,
  BEGIN,
  binary,
  CLOSE,
  DETACH,
  type Described,
  DISPOSITION,
  described,
  END,
  FLOW,
  type Frame,
  long,
  map,
  OPEN,
  sectionsOf,
  source,
  symbol,
  TRANSFER,
  target,
  ubyte,
  uint,
  ulong,
  type Value,
} from "./eventHubsBareClient.js";

// What SDKs of other languages send and look at, and what AMQP 1.0 says beyond them, frame by frame.

const KEY = "SAS_KEY_VALUE";
const READER = "h/ConsumerGroups/$Default/Partitions/0";
const SENDER = "h/Partitions/0";
const SETTLED = 1;
const SECOND = 1;

let data: string;
let server: Server;
const clients: BareClient[] = [];

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

/** A connection with a session on channel 0; with the key unless told. */
async function connect({ withKey = true } = {}): Promise<BareClient> {
  const client = await BareClient.connect(server.port);
  clients.push(client);
  if (withKey) expect(await client.login("RootManageSharedAccessKey", KEY)).toBe(0);
  client.open();
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
function attach(client: BareClient, reads: boolean, address: string, more: Attaching = {}): void {
  const { handle = 0, name = `link ${handle}`, channel = 0, snd, rcv } = more;
  const fields: Value[] = [name, uint(handle), reads];
  fields.push(snd === undefined ? null : ubyte(snd), rcv === undefined ? null : ubyte(rcv));
  fields.push(source(reads ? address : null, more.filters ?? null), target(reads ? null : address));
  fields.push(null, null, reads ? null : uint(more.initial ?? 0));
  fields.push(more.maxSize === undefined ? null : ulong(more.maxSize));
  fields.push(null, more.capabilities ?? null, more.properties ?? null);
  client.send(ATTACH, fields, { channel });
}

const named = (name: string) => (frame: Frame) => frame.fields[0] === name;

async function attached(
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

function flow(client: BareClient, credit: number, more: Flowing = {}): void {
  const session = [uint(0), uint(100_000), uint(0), uint(100_000)];
  const link = [uint(more.handle ?? 0), uint(more.count ?? 0), uint(credit), null];
  const { channel = 0, drain = null, echo = null } = more;
  client.send(FLOW, [...session, ...link, drain, echo], { channel });
}

const event = (text: string): Buffer => described(ulong(0x75), binary(Buffer.from(text)));

interface Sending {
  readonly handle?: number;
  readonly settled?: boolean;
  readonly more?: boolean;
  readonly aborted?: boolean;
  readonly tag?: string;
  readonly format?: number;
}

function transfer(client: BareClient, id: number, payload: Buffer, options: Sending = {}): void {
  const { handle = 0, settled = null, more = null, aborted = null, tag = String(id), format = 0 } = options;
  const fields = [uint(handle), uint(id), binary(Buffer.from(tag)), uint(format), settled, more];
  client.send(TRANSFER, [...fields, null, null, null, aborted], { payload });
}

const textOf = (frame: Frame): string => String(sectionsOf(frame.payload).get(0x75));
const handleIs = (handle: number) => (frame: Frame) => frame.fields[0] === handle;
const conditionOf = (error: unknown): unknown => ((error as Described).value as unknown[])[0];

/** Writes events to partition 0 on a connection of their own. */
async function fill(texts: readonly string[]): Promise<void> {
  const client = await connect();
  await attached(client, false, SENDER);
  for (let at = 0; at < texts.length; at += 1_000) {
    const events = texts.slice(at, at + 1_000).map((text) => described(ulong(0x75), binary(event(text))));
    transfer(client, at / 1_000, Buffer.concat(events), { format: 0x80013700 });
    expect((await client.next(DISPOSITION)).fields[4]).toMatchObject({ descriptor: 0x24 });
  }
}

/** The texts of the next events that come. */
async function read(client: BareClient, count: number): Promise<string[]> {
  const texts: string[] = [];
  while (texts.length < count) texts.push(textOf(await client.next(TRANSFER)));
  return texts;
}

function token(key: string, entity = "h"): string {
  const se = String(Math.floor(Date.now() / 1000) + 600);
  const sr = encodeURIComponent(`sb://localhost/${entity}`);
  const sig = createHmac("sha256", key).update(`${sr}\n${se}`).digest("base64");
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${se}&skn=RootManageSharedAccessKey`;
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, number) => String(number));

describe("frames", () => {
  it("have all their fields, which some clients read by their place", async () => {
    await fill(["one"]);
    const client = await connect();
    expect((await client.next(OPEN)).fields).toHaveLength(10);
    const begun = await client.next(BEGIN);
    expect(begun.fields).toHaveLength(8);
    expect(begun.fields[4]).toBe(255);
    expect((await attached(client, true, READER)).fields).toHaveLength(14);
    flow(client, 1);
    expect((await client.next(TRANSFER)).fields).toHaveLength(11);
    expect((await attached(client, false, SENDER, { handle: 1 })).fields).toHaveLength(14);
    expect((await client.next(FLOW)).fields).toHaveLength(11);
    transfer(client, 0, event("two"), { handle: 1 });
    expect((await client.next(DISPOSITION)).fields).toHaveLength(6);
    client.send(DETACH, [uint(0), true]);
    expect((await client.next(DETACH)).fields).toHaveLength(3);
    client.send(END, []);
    expect((await client.next(END)).fields).toHaveLength(1);
    client.send(CLOSE, []);
    expect((await client.next(CLOSE)).fields).toHaveLength(1);
  });

  it("have all fields of an error too", async () => {
    const client = await connect();
    attach(client, true, "nowhere/ConsumerGroups/$Default/Partitions/0");
    const { fields } = await client.next(DETACH);
    expect((fields[2] as Described).value).toHaveLength(3);
    await attached(client, false, SENDER, { handle: 1 });
    transfer(client, 0, Buffer.from("no message"), { handle: 1 });
    const [error] = ((await client.next(DISPOSITION)).fields[4] as Described).value as [Described];
    expect(error.value).toEqual(["amqp:decode-error", expect.any(String), null]);
  });

  it("that break the protocol are answered with a close that says so", async () => {
    const client = await connect();
    await client.next(BEGIN);
    client.send(FLOW, [uint(0), uint(1), uint(0), uint(1)], { channel: 7 });
    expect(conditionOf((await client.next(CLOSE)).fields[0])).toBe("amqp:connection:framing-error");
  });
});

describe("a connection", () => {
  it.each([
    ["a channel", (client: BareClient) => client.begin(256)],
    ["a handle", (client: BareClient) => attach(client, true, READER, { handle: 256 })],
  ])("is closed for %s above the highest that was agreed", async (_name, wrong) => {
    const client = await connect();
    wrong(client);
    expect(conditionOf((await client.next(CLOSE)).fields[0])).toBe("amqp:connection:framing-error");
  });
});

describe("logging in", () => {
  it.each([
    ["a wrong key", "RootManageSharedAccessKey", "wrong"],
    ["no key", "RootManageSharedAccessKey", ""],
    ["an unknown name", "toString", KEY],
  ])("fails with %s", async (_name, name, key) => {
    const client = await BareClient.connect(server.port);
    clients.push(client);
    expect(await client.login(name, key)).toBe(1);
  });

  it("without a key gives nothing until a token comes", async () => {
    const client = await connect({ withKey: false });
    attach(client, true, READER);
    expect(conditionOf((await client.next(DETACH)).fields[2])).toBe("amqp:unauthorized-access");
  });
});

describe("a link", () => {
  it.each([
    SENDER,
    `/${SENDER}`,
    `amqps://host/${SENDER}`,
    `amqp://host:5672/${SENDER}`,
    `sb://host.example/${SENDER}`,
    "H/PARTITIONS/0",
    "/h",
    "amqps://host:5671/h/",
  ])("to send is found as %s", async (address) => {
    const { fields } = await attached(await connect(), false, address);
    expect((fields[6] as Described).value).toEqual(expect.arrayContaining([address]));
  });

  it.each([
    `/${READER}`,
    `amqps://host/${READER}`,
    `sb://host:1/${READER}`,
    "amqps://host/h/ConsumerGroups/%24Default/Partitions/0",
    "H/consumergroups/$DEFAULT/partitions/1",
    "/h/ConsumerGroups/second/Partitions/1",
  ])("to read is found as %s", async (address) => {
    const { fields } = await attached(await connect(), true, address);
    expect((fields[5] as Described).value).toEqual(expect.arrayContaining([address]));
  });

  it.each([undefined, 0, 1, 2])("has the sender settle mode that was asked for: %s", async (snd) => {
    const client = await connect();
    for (const [handle, reads] of [false, true].entries()) {
      const more = snd === undefined ? { handle } : { handle, snd };
      const answer = await attached(client, reads, reads ? READER : SENDER, more);
      expect(answer.fields[3]).toBe(snd ?? 2);
    }
  });

  it.each([undefined, 0, 1])("has the receiver settle mode that was asked for: %s", async (rcv) => {
    const client = await connect();
    for (const [handle, reads] of [false, true].entries()) {
      const more = rcv === undefined ? { handle } : { handle, rcv };
      const answer = await attached(client, reads, reads ? READER : SENDER, more);
      expect(answer.fields[4]).toBe(rcv ?? 0);
    }
  });

  it.each([
    ["to an unknown hub", false, "nowhere", "amqp:not-found"],
    ["from an unknown hub", true, "nowhere/ConsumerGroups/$Default/Partitions/0", "amqp:not-found"],
    ["from an unknown group", true, "h/ConsumerGroups/none/Partitions/0", "amqp:not-found"],
    ["to an unknown partition", false, "h/Partitions/9", "com.microsoft:argument-out-of-range"],
    ["to nothing", false, "", "amqp:not-found"],
  ])("%s is refused with an attach without ends, and a detach", async (_name, reads, address, condition) => {
    const client = await connect();
    const { fields } = await attached(client, reads, address);
    expect(fields.slice(5, 7)).toEqual([null, null]);
    const detach = (await client.next(DETACH)).fields;
    expect(detach[1]).toBe(true);
    expect(conditionOf(detach[2])).toBe(condition);
  });

  it("that was refused takes nothing of what was on its way", async () => {
    const client = await connect();
    attach(client, false, "nowhere");
    transfer(client, 0, event("lost"));
    await client.next(DETACH);
    await attached(client, false, SENDER, { handle: 1 });
    transfer(client, 1, event("kept"), { handle: 1 });
    expect((await client.next(DISPOSITION)).fields.slice(1, 3)).toEqual([1, 1]);
  });

  it("answers with the filters that are in effect, and no others", async () => {
    await fill(numbers(3));
    const client = await connect();
    const selector = (name: Value) => described(name, "amqp.annotation.x-opt-sequence-number > '1'");
    const filters = map([
      [symbol("their:own"), described(symbol("their:own"), "x")],
      [symbol("place"), selector(ulong(0x468c00000004))],
    ]);
    const { fields } = await attached(client, true, READER, { filters });
    const answered = ((fields[5] as Described).value as unknown[])[7] as Record<string, Described>;
    expect(Object.keys(answered)).toEqual(["place"]);
    expect(answered["place"]).toEqual({
      descriptor: 0x468c00000004,
      value: "amqp.annotation.x-opt-sequence-number > '1'",
    });
    flow(client, 10);
    expect(await read(client, 1)).toEqual(["2"]);
  });

  it.each([true, false])("is detached as its client detaches it: closed %s", async (closed) => {
    const client = await connect();
    await attached(client, true, READER);
    client.send(DETACH, closed ? [uint(0), true] : [uint(0)]);
    expect((await client.next(DETACH)).fields.slice(0, 2)).toEqual([0, closed]);
  });

  it.each([true, false])("can be attached again at once, after a detach with closed %s", async (closed) => {
    await fill(["one"]);
    const client = await connect();
    await attached(client, true, READER, { name: "same" });
    client.together(() => {
      client.send(DETACH, [uint(0), closed]);
      attach(client, true, READER, { name: "same" });
      flow(client, 1);
    });
    const { fields } = await client.next(ATTACH, named("same"));
    expect((await client.next(TRANSFER, handleIs(fields[1] as number))).payload.toString()).toContain("one");
  });

  it("takes the place of an open one of its name and direction, and of no other", async () => {
    const client = await connect();
    await attached(client, true, READER, { name: "same" });
    await attached(client, false, SENDER, { name: "same", handle: 1 });
    client.begin(1);
    await attached(client, true, READER, { name: "same", channel: 1 });
    const { channel, fields } = await client.next(DETACH);
    expect([channel, fields[0], conditionOf(fields[2])]).toEqual([0, 0, "amqp:link:stolen"]);
    transfer(client, 0, event("one"), { handle: 1 });
    expect((await client.next(DISPOSITION)).fields[4]).toMatchObject({ descriptor: 0x24 });
  });

  it.each([
    ["a handle in use", "amqp:session:handle-in-use", (client: BareClient) => attach(client, true, READER)],
    [
      "a handle that nobody has",
      "amqp:session:unattached-handle",
      (client: BareClient) => flow(client, 1, { handle: 9 }),
    ],
    [
      "a transfer from nowhere",
      "amqp:session:unattached-handle",
      (client: BareClient) => transfer(client, 0, event("x"), { handle: 9 }),
    ],
    [
      "a transfer on a link that reads",
      "amqp:not-allowed",
      (client: BareClient) => transfer(client, 0, event("x")),
    ],
    [
      "a disposition about everything",
      "amqp:invalid-field",
      (client: BareClient) => client.send(DISPOSITION, [true, uint(0), uint(0xffffffff), true]),
    ],
  ])("ends its session with %s, and the connection goes on", async (_name, condition, wrong) => {
    const client = await connect();
    await attached(client, true, READER);
    wrong(client);
    expect(conditionOf((await client.next(END)).fields[0])).toBe(condition);
    client.send(END, []);
    client.begin(3);
    expect((await attached(client, true, READER, { channel: 3 })).fields[5]).not.toBeNull();
  });

  it("of a buffered producer to the whole hub is accepted, and says how large an event may be", async () => {
    const client = await connect();
    const capabilities = symbol("com.microsoft:idempotent-producer");
    const { fields } = await attached(client, false, "h", { capabilities });
    expect(fields[6]).not.toBeNull();
    expect(fields[10]).toBe(1_048_576);
    expect([fields[11]].flat()).toEqual(["com.microsoft:idempotent-producer"]);
    transfer(client, 0, event("x"));
    const [error] = ((await client.next(DISPOSITION)).fields[4] as Described).value as [Described];
    expect(conditionOf(error)).toBe("amqp:not-allowed");
  });
});

describe("the end of a session", () => {
  it("makes room for other readers", async () => {
    const client = await connect();
    for (const handle of [0, 1, 2, 3, 4]) await attached(client, true, READER, { handle });
    client.send(END, []);
    await client.next(END);
    client.begin(1);
    for (const handle of [0, 1, 2, 3, 4]) {
      const { fields } = await attached(client, true, READER, {
        handle,
        channel: 1,
        name: `other ${handle}`,
      });
      expect(fields[5]).not.toBeNull();
    }
  });

  it("may be followed by detaches of its links", async () => {
    const client = await connect();
    await attached(client, true, READER);
    client.send(END, []);
    client.send(DETACH, [uint(0), true]);
    await client.next(END);
    client.begin(1);
    expect((await attached(client, true, READER, { channel: 1 })).channel).toBe(0);
  });

  it("lets an owner level go", async () => {
    const client = await connect();
    const level = (epoch: number) => map([[symbol("com.microsoft:epoch"), long(epoch)]]);
    await attached(client, true, READER, { properties: level(9) });
    client.send(END, []);
    await client.next(END);
    client.begin(1);
    const { fields } = await attached(client, true, READER, { channel: 1, properties: level(1) });
    expect(fields[5]).not.toBeNull();
  });
});

describe("sending", () => {
  it("settled gets no answer, and needs no tags", async () => {
    const client = await connect();
    await attached(client, false, SENDER, { snd: SETTLED });
    transfer(client, 0, event("one"), { settled: true, tag: "" });
    transfer(client, 1, event("two"), { settled: true, tag: "" });
    transfer(client, 2, event("three"), { tag: "" });
    expect((await client.next(DISPOSITION)).fields.slice(1, 3)).toEqual([2, 2]);
    await attached(client, true, READER, { handle: 1 });
    flow(client, 3, { handle: 1 });
    expect(await read(client, 3)).toEqual(["one", "two", "three"]);
  });

  it("is settled at once, also where the client would settle first", async () => {
    const client = await connect();
    await attached(client, false, SENDER, { rcv: SECOND });
    transfer(client, 0, event("one"));
    expect((await client.next(DISPOSITION)).fields[3]).toBe(true);
  });

  it("takes several transfers together, and any of them may say that all are settled", async () => {
    const client = await connect();
    await attached(client, false, SENDER);
    const whole = event("one and two and three");
    const parts = [whole.subarray(0, 9), whole.subarray(9, 15), whole.subarray(15)];
    transfer(client, 0, parts[0]!, { more: true });
    client.send(TRANSFER, [uint(0), null, null, null, true, true], { payload: parts[1]! });
    client.send(TRANSFER, [uint(0)], { payload: parts[2]! });
    transfer(client, 1, event("last"));
    expect((await client.next(DISPOSITION)).fields.slice(1, 3)).toEqual([1, 1]);
    await attached(client, true, READER, { handle: 1 });
    flow(client, 2, { handle: 1 });
    expect(await read(client, 2)).toEqual(["one and two and three", "last"]);
  });

  it("forgets what was aborted, at once or later, and its size", async () => {
    const client = await connect();
    await attached(client, false, SENDER);
    const part = Buffer.alloc(60_000, event("aborted"));
    transfer(client, 0, part, { more: true });
    for (let count = 1; count < 17; count++)
      client.send(TRANSFER, [uint(0), null, null, null, null, true], { payload: part });
    client.send(TRANSFER, [uint(0), null, null, null, null, null, null, null, null, true]);
    transfer(client, 1, event("aborted"), { aborted: true });
    transfer(client, 2, Buffer.concat([event("kept "), event("x".repeat(60_000))]), { more: true });
    client.send(TRANSFER, [uint(0)], { payload: event("all") });
    const { fields } = await client.next(DISPOSITION);
    expect([fields[1], fields[2], fields[4]]).toEqual([2, 2, expect.objectContaining({ descriptor: 0x24 })]);
    await attached(client, true, READER, { handle: 1 });
    flow(client, 2, { handle: 1 });
    expect(await read(client, 1)).toEqual(["all"]);
  });

  it("may begin just below the highest numbers, and goes on behind zero", async () => {
    const client = await connect();
    const high = 0xfffffffe;
    client.begin(1, high);
    attach(client, false, SENDER, { channel: 1, initial: high });
    await client.next(ATTACH);
    const ofLink = ({ channel, fields }: Frame) => channel === 1 && fields[4] !== null;
    expect((await client.next(FLOW, ofLink)).fields[5]).toBe(high);
    for (const id of [high, high + 1, 0, 1]) {
      const list = [uint(0), uint(id), binary(Buffer.from("t")), uint(0)];
      client.send(TRANSFER, list, { channel: 1, payload: event(String(id)) });
      const disposed = await client.next(DISPOSITION);
      expect([disposed.fields[1], disposed.fields[4]]).toEqual([
        id,
        expect.objectContaining({ descriptor: 0x24 }),
      ]);
    }
    client.send(FLOW, [uint(0), uint(9), uint(2), uint(9), uint(0), null, null, null, null, true], {
      channel: 1,
    });
    const now = await client.next(FLOW, ({ fields }) => fields[5] === 2);
    expect(now.fields[0]).toBe(2);
  });

  it("may use all the credit of several links of a session", async () => {
    const client = await connect();
    const links = [0, 1, 2, 3];
    for (const handle of links) await attached(client, false, SENDER, { handle });
    client.together(() => {
      for (let id = 0; id < 4_000; id++) transfer(client, id, event("x"), { handle: id % links.length });
    });
    const isLast = ({ fields }: Frame) => (fields[2] ?? fields[1]) === 3_999;
    expect((await client.next(DISPOSITION, isLast)).fields[4]).toMatchObject({ descriptor: 0x24 });
  });

  it("without credit detaches the link", async () => {
    const client = await connect();
    await attached(client, false, SENDER);
    let id = 0;
    // Bursts, as there is new credit for what has been stored.
    while (client.left(DETACH).length === 0) {
      client.together(() => {
        for (let count = 0; count < 2_000; count++) transfer(client, id++, event("x"));
      });
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { fields } = await client.next(DETACH);
    expect(conditionOf(fields[2])).toBe("amqp:link:transfer-limit-exceeded");
  });
});

describe("reading", () => {
  it.each([
    ["its credit back", (client: BareClient) => flow(client, 0)],
    ["the link back", (client: BareClient) => client.send(DETACH, [uint(0), true])],
  ])("holds no other link back when its client takes %s at once", async (_name, takeBack) => {
    await fill(["one"]);
    const client = await connect();
    await attached(client, true, READER);
    client.together(() => {
      flow(client, 10);
      takeBack(client);
    });
    await attached(client, true, READER, { handle: 1 });
    flow(client, 10, { handle: 1 });
    expect(await read(client, 1)).toEqual(["one"]);
  });

  it("settled needs no dispositions, however many events there are", async () => {
    await fill(numbers(5_000));
    const client = await connect();
    await attached(client, true, READER, { snd: SETTLED });
    flow(client, 5_000);
    const frames = [];
    while (frames.length < 5_000) frames.push(await client.next(TRANSFER));
    expect(frames.every(({ fields }) => fields[4] === true)).toBe(true);
    expect(textOf(frames.at(-1)!)).toBe("4999");
  });

  it("settles second what its client has accepted and not settled", async () => {
    await fill(["one"]);
    const client = await connect();
    await attached(client, true, READER, { rcv: SECOND });
    flow(client, 1);
    expect((await client.next(TRANSFER)).fields[4]).toBe(false);
    client.send(DISPOSITION, [true, uint(0), null, null, ACCEPTED]);
    expect((await client.next(DISPOSITION)).fields.slice(0, 4)).toEqual([false, 0, 0, true]);
  });

  it("is not held back by what a closed link left unsettled", async () => {
    await fill(numbers(2_500));
    const client = await connect();
    await attached(client, true, READER);
    flow(client, 2_500);
    expect(await read(client, 2_048)).toHaveLength(2_048);
    client.send(DETACH, [uint(0), true]);
    await client.next(DETACH);
    await attached(client, true, READER, { handle: 1 });
    flow(client, 10, { handle: 1 });
    expect(await read(client, 10)).toEqual(numbers(10));
  });

  it.each([
    ["with credit left", 10, 2],
    ["with none left", 2, 2],
    ["with none to begin with", 0, 0],
  ])("drains %s, with one flow", async (_name, credit, count) => {
    await fill(["one", "two"]);
    const client = await connect();
    await attached(client, true, READER);
    flow(client, credit, { drain: true });
    const drained = await client.next(FLOW);
    expect(await read(client, count)).toEqual(["one", "two"].slice(0, count));
    expect([drained.fields[5], drained.fields[6], drained.fields[8]]).toEqual([credit, 0, true]);
    // The next event comes only with the next credit, and brings no second answer.
    await fill(["three"]);
    flow(client, 5, { count: credit });
    expect(await read(client, 1)).toEqual([["one", "two", "three"][count]]);
    expect(client.left(FLOW)).toEqual([]);
  });

  it("answers a flow that asks for one", async () => {
    const client = await connect();
    await attached(client, true, READER);
    flow(client, 7, { echo: true });
    const { fields } = await client.next(FLOW);
    expect(fields.slice(4, 7)).toEqual([0, 0, 7]);
    client.send(FLOW, [uint(0), uint(9), uint(0), uint(9), null, null, null, null, null, true]);
    expect((await client.next(FLOW)).fields[4]).toBeNull();
  });

  it("ends at an event that is longer than its client takes", async () => {
    await fill(["short", "x".repeat(5_000)]);
    const client = await connect();
    await attached(client, true, READER, { maxSize: 1_000 });
    flow(client, 10);
    expect(await read(client, 1)).toEqual(["short"]);
    const { fields } = await client.next(DETACH);
    expect(conditionOf(fields[2])).toBe("amqp:link:message-size-exceeded");
  });
});

describe("management", () => {
  /** Asks for the hub in the very first message of a connection; the reply's status. */
  async function ask(properties: readonly (readonly [string, string])[], credit = 1): Promise<BareClient> {
    const client = await connect({ withKey: false });
    attach(client, true, "$management", { name: "replies", handle: 0 });
    attach(client, false, "h/$management", { name: "requests", handle: 1 });
    if (credit > 0) flow(client, credit);
    const all = [["operation", "READ"], ["type", "com.microsoft:eventhub"], ...properties] as [
      string,
      string,
    ][];
    const request = Buffer.concat([
      described(ulong(0x73), ["1", null, null, null, "replies"]),
      described(ulong(0x74), map(all)),
      described(ulong(0x77), null),
    ]);
    transfer(client, 0, request, { handle: 1 });
    return client;
  }

  const statusOf = (reply: Frame) =>
    (sectionsOf(reply.payload).get(0x74) as Record<string, unknown>)["status-code"];

  it.each([
    ["with its token", "h", token(KEY), 200],
    ["with a token for the namespace", "H", token(KEY, ""), 200],
    ["with a wrong token", "h", token("wrong"), 401],
    ["with a token for another hub", "h", token(KEY, "other"), 401],
    ["with half a token", "h", "SharedAccessSignature sr=", 401],
    ["without one", "h", undefined, 401],
    ["for a hub that isn't there", "nowhere", token(KEY), 404],
  ])("answers a first request %s", async (_name, hub, secret, status) => {
    const extra: [string, string][] = secret === undefined ? [] : [["security_token", secret]];
    const client = await ask([["name", hub], ...extra]);
    expect(statusOf(await client.next(TRANSFER))).toBe(status);
  });

  it("keeps a reply until there is credit for it, and holds nothing else back meanwhile", async () => {
    await fill(["one"]);
    const client = await ask(
      [
        ["name", "h"],
        ["security_token", token(KEY)],
      ],
      0,
    );
    await client.next(DISPOSITION);
    attach(client, true, "$cbs", { name: "cbs replies", handle: 2 });
    attach(client, false, "$cbs", { name: "cbs", handle: 3 });
    flow(client, 1, { handle: 2 });
    const put = Buffer.concat([
      described(ulong(0x73), ["2", null, null, null, "cbs replies"]),
      described(
        ulong(0x74),
        map([
          ["operation", "put-token"],
          ["type", "servicebus.windows.net:sastoken"],
          ["name", "sb://localhost/h"],
        ]),
      ),
      described(ulong(0x77), token(KEY)),
    ]);
    transfer(client, 1, put, { handle: 3 });
    expect(statusOf(await client.next(TRANSFER))).toBe(202);
    flow(client, 1);
    expect(statusOf(await client.next(TRANSFER))).toBe(200);
  });

  it("replies settled where it is asked to, on two links opened at once", async () => {
    const client = await connect({ withKey: false });
    attach(client, true, "$cbs", { name: "replies", handle: 0, snd: SETTLED });
    attach(client, false, "$cbs", { name: "requests", handle: 1, snd: SETTLED });
    flow(client, 1);
    const put = Buffer.concat([
      described(ulong(0x73), ["1", null, null, null, "replies"]),
      described(
        ulong(0x74),
        map([
          ["operation", "put-token"],
          ["type", "servicebus.windows.net:sastoken"],
          ["name", "amqps://localhost/h"],
        ]),
      ),
      described(ulong(0x77), token(KEY)),
    ]);
    transfer(client, 0, put, { handle: 1, settled: true, tag: "" });
    const reply = await client.next(TRANSFER);
    expect([reply.fields[4], statusOf(reply)]).toEqual([true, 202]);
    expect(client.left(DISPOSITION)).toEqual([]);
  });
});
