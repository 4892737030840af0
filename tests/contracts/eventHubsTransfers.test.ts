import { describe, expect, test } from "vitest";
import {
  ACCEPTED,
  ATTACH,
  type BareClient,
  binary,
  DETACH,
  DISPOSITION,
  described,
  FLOW,
  type Frame,
  map,
  sectionsOf,
  TRANSFER,
  uint,
  ulong,
} from "./eventHubsBareClient.js";
import {
  attach,
  attached,
  conditionOf,
  connect,
  event,
  fill,
  flow,
  KEY,
  numbers,
  READER,
  read,
  SECOND,
  SENDER,
  SETTLED,
  serveEachTest,
  textOf,
  token,
  transfer,
} from "./eventHubsBareLinks.js";

// How messages come and go, frame by frame: settling, credit, numbers, and requests with their replies.

serveEachTest();

describe("sending", () => {
  test("settled gets no answer, and needs no tags", async () => {
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

  test("is settled at once, also where the client would settle first", async () => {
    const client = await connect();
    await attached(client, false, SENDER, { rcv: SECOND });
    transfer(client, 0, event("one"));
    expect((await client.next(DISPOSITION)).fields[3]).toBe(true);
  });

  test("takes several transfers together, and any of them may say that all are settled", async () => {
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

  test("forgets what was aborted, at once or later, and its size", async () => {
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

  test("may begin just below the highest numbers, and goes on behind zero", async () => {
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

  test("may use all the credit of several links of a session", async () => {
    const client = await connect();
    const links = [0, 1, 2, 3];
    for (const handle of links) await attached(client, false, SENDER, { handle });
    client.together(() => {
      for (let id = 0; id < 4_000; id++) transfer(client, id, event("x"), { handle: id % links.length });
    });
    const isLast = ({ fields }: Frame) => (fields[2] ?? fields[1]) === 3_999;
    expect((await client.next(DISPOSITION, isLast)).fields[4]).toMatchObject({ descriptor: 0x24 });
  });

  test("without credit detaches the link", async () => {
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
  test.each([
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

  test("settled needs no dispositions, however many events there are", async () => {
    await fill(numbers(5_000));
    const client = await connect();
    await attached(client, true, READER, { snd: SETTLED });
    flow(client, 5_000);
    const frames = [];
    while (frames.length < 5_000) frames.push(await client.next(TRANSFER));
    expect(frames.every(({ fields }) => fields[4] === true)).toBe(true);
    expect(textOf(frames.at(-1)!)).toBe("4999");
  });

  test("settles second what its client has accepted and not settled", async () => {
    await fill(["one"]);
    const client = await connect();
    await attached(client, true, READER, { rcv: SECOND });
    flow(client, 1);
    expect((await client.next(TRANSFER)).fields[4]).toBe(false);
    client.send(DISPOSITION, [true, uint(0), null, null, ACCEPTED]);
    expect((await client.next(DISPOSITION)).fields.slice(0, 4)).toEqual([false, 0, 0, true]);
  });

  test("is not held back by what a closed link left unsettled", async () => {
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

  test.each([
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

  test("keeps to the smallest frames that there are", async () => {
    const text = "x".repeat(5_000);
    await fill([text]);
    const client = await connect({ maxFrameSize: 512 });
    await attached(client, true, READER);
    flow(client, 1);
    const frames = [await client.next(TRANSFER)];
    while (frames.at(-1)?.fields[5] === true) frames.push(await client.next(TRANSFER));
    expect(Math.max(...frames.map(({ size }) => size))).toBeLessThanOrEqual(512);
    const payload = Buffer.concat(frames.map(({ payload }) => payload));
    expect(String(sectionsOf(payload).get(0x75))).toBe(text);
  });

  test("answers a flow that asks for one", async () => {
    const client = await connect();
    await attached(client, true, READER);
    flow(client, 7, { echo: true });
    const { fields } = await client.next(FLOW);
    expect(fields.slice(4, 7)).toEqual([0, 0, 7]);
    client.send(FLOW, [uint(0), uint(9), uint(0), uint(9), null, null, null, null, null, true]);
    expect((await client.next(FLOW)).fields[4]).toBeNull();
  });

  test("ends at an event that is longer than its client takes", async () => {
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

  test.each([
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

  test("keeps a reply until there is credit for it, and holds nothing else back meanwhile", async () => {
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

  test("replies settled where it is asked to, on two links opened at once", async () => {
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
