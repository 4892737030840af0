import { describe, expect, test } from "vitest";
import {
  ATTACH,
  type BareClient,
  BEGIN,
  CLOSE,
  DETACH,
  type Described,
  DISPOSITION,
  described,
  END,
  FLOW,
  long,
  map,
  OPEN,
  symbol,
  TRANSFER,
  uint,
  ulong,
  type Value,
} from "./eventHubsBareClient.js";
import {
  attach,
  attached,
  conditionOf,
  connect,
  dial,
  event,
  fill,
  flow,
  handleIs,
  KEY,
  named,
  numbers,
  READER,
  read,
  SENDER,
  serveEachTest,
  transfer,
} from "./eventHubsBareLinks.js";

// What SDKs of other languages send and look at, and what AMQP 1.0 says of connections, sessions and links,
// frame by frame.

serveEachTest();

describe("frames", () => {
  test("have all their fields, which some clients read by their place", async () => {
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

  test("have all fields of an error too", async () => {
    const client = await connect();
    attach(client, true, "nowhere/ConsumerGroups/$Default/Partitions/0");
    const { fields } = await client.next(DETACH);
    expect((fields[2] as Described).value).toHaveLength(3);
    await attached(client, false, SENDER, { handle: 1 });
    transfer(client, 0, Buffer.from("no message"), { handle: 1 });
    const [error] = ((await client.next(DISPOSITION)).fields[4] as Described).value as [Described];
    expect(error.value).toEqual(["amqp:decode-error", expect.any(String), null]);
  });

  test("that break the protocol are answered with a close that says so", async () => {
    const client = await connect();
    await client.next(BEGIN);
    client.send(FLOW, [uint(0), uint(1), uint(0), uint(1)], { channel: 7 });
    expect(conditionOf((await client.next(CLOSE)).fields[0])).toBe("amqp:connection:framing-error");
  });
});

describe("a connection", () => {
  test.each([
    ["a channel", (client: BareClient) => client.begin(256)],
    ["a handle", (client: BareClient) => attach(client, true, READER, { handle: 256 })],
  ])("is closed for %s above the highest that was agreed", async (_name, wrong) => {
    const client = await connect();
    wrong(client);
    expect(conditionOf((await client.next(CLOSE)).fields[0])).toBe("amqp:connection:framing-error");
  });
});

describe("logging in", () => {
  test.each([
    ["a wrong key", "RootManageSharedAccessKey", "wrong"],
    ["no key", "RootManageSharedAccessKey", ""],
    ["an unknown name", "toString", KEY],
  ])("fails with %s", async (_name, name, key) => {
    const client = await dial();
    expect(await client.login(name, key)).toBe(1);
  });

  test("without a key gives nothing until a token comes", async () => {
    const client = await connect({ withKey: false });
    attach(client, true, READER);
    expect(conditionOf((await client.next(DETACH)).fields[2])).toBe("amqp:unauthorized-access");
  });
});

describe("a link", () => {
  test.each([
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

  test.each([
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

  test.each([undefined, 0, 1, 2])("has the sender settle mode that was asked for: %s", async (snd) => {
    const client = await connect();
    for (const [handle, reads] of [false, true].entries()) {
      const more = snd === undefined ? { handle } : { handle, snd };
      const answer = await attached(client, reads, reads ? READER : SENDER, more);
      expect(answer.fields[3]).toBe(snd ?? 2);
    }
  });

  test.each([undefined, 0, 1])("has the receiver settle mode that was asked for: %s", async (rcv) => {
    const client = await connect();
    for (const [handle, reads] of [false, true].entries()) {
      const more = rcv === undefined ? { handle } : { handle, rcv };
      const answer = await attached(client, reads, reads ? READER : SENDER, more);
      expect(answer.fields[4]).toBe(rcv ?? 0);
    }
  });

  test.each([
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

  test("that was refused takes nothing of what was on its way", async () => {
    const client = await connect();
    attach(client, false, "nowhere");
    transfer(client, 0, event("lost"));
    await client.next(DETACH);
    await attached(client, false, SENDER, { handle: 1 });
    transfer(client, 1, event("kept"), { handle: 1 });
    expect((await client.next(DISPOSITION)).fields.slice(1, 3)).toEqual([1, 1]);
  });

  test("answers with the filters that are in effect, and no others", async () => {
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

  test.each([true, false])("is detached as its client detaches it: closed %s", async (closed) => {
    const client = await connect();
    await attached(client, true, READER);
    client.send(DETACH, closed ? [uint(0), true] : [uint(0)]);
    expect((await client.next(DETACH)).fields.slice(0, 2)).toEqual([0, closed]);
  });

  test.each([true, false])("can be attached again at once, after a detach with closed %s", async (closed) => {
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

  test("takes the place of an open one of its name and direction, and of no other", async () => {
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

  test.each([
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

  test("of a buffered producer to the whole hub is accepted, and says how large an event may be", async () => {
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
  test("makes room for other readers", async () => {
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

  test("may be followed by detaches of its links", async () => {
    const client = await connect();
    await attached(client, true, READER);
    client.send(END, []);
    client.send(DETACH, [uint(0), true]);
    await client.next(END);
    client.begin(1);
    expect((await attached(client, true, READER, { channel: 1 })).channel).toBe(0);
  });

  test("lets an owner level go", async () => {
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
