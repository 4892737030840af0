import { beforeEach, describe, expect, test } from "vitest";
import type { KafkaEvent } from "./kafkaMessages.js";
import { Partitions } from "./kafkaPartitions.js";

describe("the partitions that a host has", () => {
  let closing: AbortController;
  let partitions: Partitions;

  beforeEach(() => {
    closing = new AbortController();
    partitions = new Partitions(closing.signal);
    partitions.begin(new Map([0, 1].map((partition) => [partition, 0n])));
  });

  const event = (partition: number, offset: number): KafkaEvent => ({
    partition,
    offset: BigInt(offset),
    timestamp: 0,
    key: null,
    value: null,
    headers: [],
    leaderEpoch: 3,
  });

  function arrive(partition: number, from: number, to: number): void {
    const offsets = Array.from({ length: to - from + 1 }, (_, index) => from + index);
    const events = offsets.map((offset) => event(partition, offset));
    partitions.add(partition, events, BigInt(to + 1));
  }

  async function take(max = 10) {
    const batch = await partitions.take(max, 0);
    if (!batch) throw new Error("no batch");
    return batch;
  }

  const placesOf = (events: readonly KafkaEvent[]): string[] =>
    events.map(({ partition, offset }) => `${partition}:${offset}`);

  test("hand over what waits, and commit the offset after it once it is done", async () => {
    arrive(0, 0, 2);
    arrive(1, 0, 0);
    const batch = await take();
    expect(placesOf(batch.events)).toEqual(["0:0", "0:1", "0:2", "1:0"]);
    expect(partitions.uncommitted()).toEqual(new Map());
    partitions.done(batch, batch.events);
    partitions.finish(batch);
    const places = partitions.uncommitted();
    expect(places).toEqual(
      new Map([
        [0, { offset: 3n, leaderEpoch: 3 }],
        [1, { offset: 1n, leaderEpoch: 3 }],
      ]),
    );
    partitions.committed(places);
    expect(partitions.uncommitted()).toEqual(new Map());
  });

  test("keep an offset that came while another one was being committed", async () => {
    arrive(0, 0, 1);
    const batch = await take();
    partitions.done(batch, batch.events.slice(0, 1));
    const places = partitions.uncommitted();
    partitions.done(batch, batch.events.slice(1));
    partitions.committed(places);
    expect(partitions.uncommitted()).toEqual(new Map([[0, { offset: 2n, leaderEpoch: 3 }]]));
  });

  test("that are lost are not committed, and what waits of them is dropped", async () => {
    arrive(0, 0, 0);
    arrive(1, 0, 0);
    const batch = await take();
    arrive(0, 1, 1);
    arrive(1, 1, 1);
    partitions.keep(new Set([1]));
    expect(batch.stop.signal.aborted).toBe(true);
    partitions.done(batch, batch.events);
    partitions.finish(batch);
    expect(partitions.uncommitted()).toEqual(new Map([[1, { offset: 1n, leaderEpoch: 3 }]]));
    expect(placesOf((await take()).events)).toEqual(["1:1"]);
  });

  test("that are lost and come back are not committed by a batch of before", async () => {
    arrive(0, 0, 0);
    const batch = await take();
    partitions.keep(new Set());
    partitions.begin(new Map([[0, 0n]]));
    partitions.done(batch, batch.events);
    partitions.finish(batch);
    expect(partitions.uncommitted()).toEqual(new Map());
  });

  test("give what was not done again, before what came later", async () => {
    arrive(0, 0, 1);
    arrive(1, 0, 1);
    const batch = await take();
    arrive(1, 2, 2);
    partitions.done(batch, [event(1, 0)]);
    partitions.keep(new Set([1]));
    partitions.finish(batch);
    expect(placesOf((await take()).events)).toEqual(["1:1", "1:2"]);
  });

  test("take no events of a partition that is another host's", () => {
    partitions.keep(new Set([1]));
    arrive(0, 0, 5);
    expect(partitions.placesOf([0, 1])).toEqual(new Map([[1, 0n]]));
  });

  test("let readers wait until there is room", async () => {
    arrive(0, 0, 3);
    let there = false;
    const room = partitions.room(4, closing.signal).then(() => {
      there = true;
    });
    await Promise.resolve();
    expect(there).toBe(false);
    await take(1);
    await room;
    expect(there).toBe(true);
  });

  test("end with the host", async () => {
    const taking = partitions.take(1, 0);
    closing.abort();
    expect(await taking).toBeUndefined();
  });
});
