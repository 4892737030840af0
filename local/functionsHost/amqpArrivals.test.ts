import { createRequire } from "node:module";
import { describe, expect, test } from "vitest";
import { AmqpArrivals, ANY_PARTITION, partitionOf } from "./amqpArrivals.js";

const require = createRequire(import.meta.url);
const frames = require("rhea/lib/frames.js");
const terminus = require("rhea/lib/terminus.js");

const SASL = Buffer.from([0x41, 0x4d, 0x51, 0x50, 3, 1, 0, 0]);
const AMQP = Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 1, 0, 0]);
const EMPTY = Buffer.from([0, 0, 0, 8, 2, 0, 0, 0]);

const frame = (performative: unknown, payload?: Buffer, channel = 0): Buffer =>
  frames.write_frame(frames.amqp_frame(channel, performative, payload));
const attach = (handle: number, address: string | undefined, channel = 0): Buffer => {
  const source = address === undefined ? null : terminus.source({ address }).described();
  return frame(frames.attach({ name: `link-${handle}`, handle, role: false, source }), undefined, channel);
};
const reader = (handle: number, partition: string, channel = 0): Buffer =>
  attach(handle, `chat-messages/ConsumerGroups/chat-persist/Partitions/${partition}`, channel);
const of = (partition: string): string => partitionOf("Chat-Messages", "chat-persist", partition);
const transfer = (handle: number, channel = 0, payload = Buffer.from("an event")): Buffer =>
  frame(frames.transfer({ handle, delivery_id: 1, delivery_tag: Buffer.from("1") }), payload, channel);
const BEGINNING = [
  SASL,
  frames.write_frame(frames.sasl_frame(frames.sasl_mechanisms({ sasl_server_mechanisms: "ANONYMOUS" }))),
  frames.write_frame(frames.sasl_frame(frames.sasl_outcome({ code: 0 }))),
  AMQP,
  frame(frames.open({ container_id: "a server" })),
  frame(frames.begin({ remote_channel: 0, next_outgoing_id: 0, incoming_window: 100, outgoing_window: 100 })),
];

function begun(...more: readonly Buffer[]): AmqpArrivals {
  const arrivals = new AmqpArrivals();
  for (const bytes of [...BEGINNING, ...more]) expect(arrivals.read(bytes)).toEqual(new Set());
  return arrivals;
}

describe("a connection of AMQP", () => {
  test("tells the partition of each event, whatever other links say", () => {
    const arrivals = begun(reader(0, "0"), reader(1, "2"), attach(2, "$management"), attach(300, "$cbs"));
    expect(arrivals.read(transfer(0))).toEqual(new Set([of("0")]));
    expect(arrivals.read(Buffer.concat([transfer(1), EMPTY, transfer(0)]))).toEqual(
      new Set([of("0"), of("2")]),
    );
    expect(arrivals.read(Buffer.concat([transfer(2), transfer(300), EMPTY]))).toEqual(new Set());
  });

  test("is read however its bytes are cut", () => {
    const events = [transfer(0), EMPTY, transfer(700, 1, Buffer.alloc(70_000)), transfer(0)];
    const bytes = Buffer.concat([...BEGINNING, reader(0, "0"), reader(700, "eleven", 1), ...events]);
    for (const length of [1, 2, 3, 7, 64, 4_096, bytes.length]) {
      const arrivals = new AmqpArrivals();
      const come: string[] = [];
      for (let at = 0; at < bytes.length; at += length) {
        // Sockets use their buffers again.
        const piece = Buffer.from(bytes.subarray(at, at + length));
        come.push(...arrivals.read(piece));
        piece.fill(0xff);
      }
      expect([...new Set(come)]).toEqual([of("0"), of("eleven")]);
      if (length < 4_096) expect(come).toEqual([of("0"), of("eleven"), of("0")]);
    }
  });

  test("tells hubs and consumer groups apart that have partitions of one name", () => {
    const readers = ["chat-reads/ConsumerGroups/chat-persist", "chat-messages/ConsumerGroups/other"];
    const links = readers.map((path, index) => attach(index, `amqps://host.example/${path}/Partitions/0`));
    const arrivals = begun(...links, reader(2, "0"));
    expect(arrivals.read(transfer(0))).toEqual(new Set([partitionOf("chat-reads", "chat-persist", "0")]));
    expect(arrivals.read(transfer(1))).toEqual(new Set([partitionOf("chat-messages", "other", "0")]));
    expect(arrivals.read(transfer(2))).toEqual(new Set([of("0")]));
  });

  test("of a server that repeats no address anything may be of any partition", () => {
    const arrivals = begun(attach(0, undefined), reader(1, "1"));
    expect(arrivals.read(transfer(0))).toEqual(new Set([ANY_PARTITION]));
    expect(arrivals.read(transfer(1))).toEqual(new Set([of("1")]));
  });

  test("gives a handle to another link", () => {
    const arrivals = begun(reader(0, "0"));
    arrivals.read(reader(0, "1"));
    expect(arrivals.read(transfer(0))).toEqual(new Set([of("1")]));
    arrivals.read(attach(0, "$cbs"));
    expect(arrivals.read(transfer(0))).toEqual(new Set());
    arrivals.read(reader(0, "2", 1));
    expect([arrivals.read(transfer(0)), arrivals.read(transfer(0, 1))]).toEqual([
      new Set(),
      new Set([of("2")]),
    ]);
  });
});

test.each([
  ["a record of TLS", Buffer.from("160303007a020000760303", "hex")],
  ["HTTP", Buffer.from("HTTP/1.1 200 OK\r\n\r\n")],
  ["a frame of another type", Buffer.from([0, 0, 0, 8, 2, 7, 0, 0])],
  ["a frame that is too short", Buffer.from([0, 0, 0, 4])],
  ["a frame that holds nothing known", Buffer.from([0, 0, 0, 10, 2, 0, 0, 0, 0xa1, 0x00])],
  ["an attach that ends too soon", Buffer.from([0, 0, 0, 13, 2, 0, 0, 0, 0x00, 0x53, 0x12, 0xc0, 0x50])],
])("of %s nothing is known, from then on", (_what, bytes) => {
  const arrivals = begun(reader(0, "0"));
  expect(arrivals.read(bytes)).toBe("unknown");
  expect(arrivals.read(transfer(0))).toBe("unknown");
});
