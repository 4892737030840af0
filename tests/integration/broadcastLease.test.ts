import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { ReceivedEvent } from "../../shared/bus/eventBus.js";
import { consumeBatch } from "../../shared/consumers/consumeBatch.js";
import type { BatchHandler } from "../../shared/consumers/handler.js";
import type { MessagesDeps } from "../../shared/messages/deps.js";
import { storeMessages } from "../../shared/messages/store.js";
import { ChatError } from "../../shared/platform/errors.js";
import { portsOf } from "../../shared/redis/ports.js";
import type { Database } from "../../shared/store/database.js";
import { BROADCAST_LEASE_MS, leaseBroadcast, lockPosition } from "../../shared/store/streamPositions.js";
import { inTransaction } from "../../shared/store/transaction.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { changed } from "../fakes/changed.js";
import type { FakeEventBus } from "../fakes/eventBus.js";
import { FakeSessionStore } from "../fakes/sessionStore.js";
import { newDatabase } from "../support/database.js";
import { HUB, newLog, newRoom, positionIn, putMessage } from "../support/onePartition.js";

let database: Database;
let closeDatabase: () => Promise<void>;
let log: FakeEventBus;
let roomId: number;
/** What the socket service was sent by anybody, in order: the instance's name and the message's `seq`. */
let shown: string[];

beforeAll(async () => {
  ({ database, close: closeDatabase } = await newDatabase());
});
afterAll(() => closeDatabase());

beforeEach(async () => {
  log = newLog();
  shown = [];
  roomId = await newRoom(database);
});

/** One of several instances that read the same partition. */
class Instance {
  /** Sends wait for it. */
  open: Promise<void> = Promise.resolve();
  readonly #deps: MessagesDeps;

  constructor(name: string, retryBudgetMs = 30_000) {
    const broadcaster = new FakeBroadcaster();
    const send = broadcaster.sendToGroup.bind(broadcaster);
    broadcaster.sendToGroup = async (group, text) => {
      await this.open;
      shown.push(`${name} ${JSON.parse(text.slice(text.indexOf("\n\n") + 2, -1)).seq}`);
      await send(group, text);
    };
    this.#deps = {
      database,
      // One of its own, so that nothing but the database keeps two instances apart.
      bus: changed(log, {}),
      broadcaster,
      ...portsOf(new FakeSessionStore()),
      scheduleReads: () => {},
      now: Date.now,
      retryBudgetMs,
      instance: name,
    };
  }

  store(...events: readonly ReceivedEvent[]): Promise<void> {
    return storeMessages({ hub: HUB, partitionId: "0", events }, this.#deps);
  }
}

const put = (): ReceivedEvent => putMessage(log, roomId);

/** Sends that fail. */
function refused(text: string): Promise<void> {
  const failure = Promise.reject(new ChatError("UNAVAILABLE", text));
  // It may be asked for late.
  failure.catch(() => {});
  return failure;
}

/** A send that is held up until `go` is called. */
function gate(): { readonly closed: Promise<void>; readonly go: () => void } {
  let go = (): void => {};
  const closed = new Promise<void>((resolve) => {
    go = resolve;
  });
  return { closed, go };
}

const position = () => positionIn(log, database);
const isStored = (stored: number) =>
  vi.waitFor(async () => expect(await position()).toMatchObject({ stored }));

describe("of two instances that have the same partition", () => {
  test("one waits while the other one shows, and then shows what is behind that", async () => {
    const [a, b] = [new Instance("a"), new Instance("b")];
    const { closed, go } = gate();
    a.open = closed;
    const [first, second, third] = [put(), put(), put()];
    const byA = a.store(first, second);
    await isStored(1);
    const byB = b.store(third);
    await isStored(2);
    // Longer than a lease that is not renewed.
    await new Promise((resolve) => setTimeout(resolve, BROADCAST_LEASE_MS + 500));
    expect(shown).toEqual([]);
    go();
    await Promise.all([byA, byB]);
    expect(shown).toEqual(["a 1", "a 2", "b 3"]);
    expect(await position()).toMatchObject({ stored: 2, broadcast: 2 });
  });

  test("one that gets the other one's batch again shows nothing of it", async () => {
    const [a, b] = [new Instance("a"), new Instance("b")];
    const { closed, go } = gate();
    a.open = closed;
    const batch = [put(), put()];
    const byA = a.store(...batch);
    await isStored(1);
    const byB = b.store(...batch);
    await new Promise((resolve) => setTimeout(resolve, 300));
    go();
    await Promise.all([byA, byB]);
    expect(shown).toEqual(["a 1", "a 2"]);
    expect(await position()).not.toHaveProperty("broadcaster");
  });

  test("one shows at once what the other one could not show", async () => {
    const [a, b] = [new Instance("a", 0), new Instance("b")];
    a.open = refused("It is cut off.");
    await expect(a.store(put())).rejects.toThrow("It is cut off.");
    expect(await position()).toMatchObject({ stored: 0, broadcast: -1 });
    expect(await position()).not.toHaveProperty("broadcaster");
    await b.store(put());
    expect(shown).toEqual(["b 1", "b 2"]);
  });

  test("one takes over from another one that died, once its lease is over, and shows all in order", async () => {
    const [b, dead] = [new Instance("b"), new Instance("dead", 0)];
    await b.store(put());
    dead.open = refused("It dies here.");
    await expect(dead.store(put())).rejects.toThrow("It dies here.");
    // What it would leave: a lease that nobody renews or ends, and a message that it did not show.
    const stream = { hub: HUB, partitionId: "0", hubId: await log.hubId(HUB) };
    await inTransaction(database, (tx) => leaseBroadcast(tx, stream, "dead"));
    expect(await position()).toMatchObject({ stored: 1, broadcast: 0, broadcaster: "dead" });
    shown = [];
    await b.store(put());
    expect(shown).toEqual(["b 2", "b 3"]);
    expect(await position()).toMatchObject({ stored: 2, broadcast: 2 });
  });

  test("one is not kept waiting by a lease of a clock that has been set back since", async () => {
    const b = new Instance("b");
    await b.store(put());
    await database.query(
      "UPDATE stream_positions SET broadcast_by = 'dead', broadcast_until = UTC_TIMESTAMP(3) + INTERVAL 1 HOUR WHERE hub_id = ?",
      [await log.hubId(HUB)],
    );
    await b.store(put());
    expect(shown).toEqual(["b 1", "b 2"]);
    expect(await position()).not.toHaveProperty("broadcaster");
  });

  test("the one that shows keeps its lease though the other one's transaction holds the row for long", async () => {
    const [a, b] = [new Instance("a"), new Instance("b")];
    const { closed, go } = gate();
    a.open = closed;
    const [first, second] = [put(), put()];
    const byA = a.store(first);
    await isStored(0);
    // As a store transaction that waits for other locks.
    await inTransaction(database, async (tx) => {
      await lockPosition(tx, { hub: HUB, partitionId: "0", hubId: await log.hubId(HUB) });
      await new Promise((resolve) => setTimeout(resolve, BROADCAST_LEASE_MS + 500));
    });
    const byB = b.store(second);
    await isStored(1);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(shown).toEqual([]);
    go();
    await Promise.all([byA, byB]);
    expect(shown).toEqual(["a 1", "b 2"]);
  });

  test("each shows its own at once where the other one is idle", async () => {
    const [a, b] = [new Instance("a"), new Instance("b")];
    for (const instance of [a, b, a, b]) {
      await instance.store(put());
      expect(await position()).not.toHaveProperty("broadcaster");
    }
    expect(shown).toEqual(["a 1", "b 2", "a 3", "b 4"]);
  });

  test("what one stores between two halves of the other one's batch is shown in its place", async () => {
    const [bus, batch] = [changed(log, {}), [put(), put(), put(), put()]];
    let byB: Promise<void> | undefined;
    const store = (name: string, events: readonly ReceivedEvent[]): Promise<void> => {
      const note = (some: readonly ReceivedEvent[]) =>
        void shown.push(...some.map(({ sequenceNumber }) => `${name} ${sequenceNumber}`));
      const handler: BatchHandler<readonly ReceivedEvent[]> = {
        async lookUp(_tx, some) {
          // As where locks are waited for too long.
          if (some.length > 2) throw Object.assign(new Error("Lock wait timeout exceeded"), { errno: 1205 });
          return async () => {
            // It waits for the position that the first half has locked, and has it before the second half.
            if (name === "a") byB ??= store("b", [batch[2]!]);
            await new Promise((resolve) => setTimeout(resolve, 500));
            return { result: () => some, refused: [] };
          };
        },
        deadLetterHub: `${HUB}-dlt`,
        nothing: [],
        combine: (first, second) => [...first, ...second],
        show: async (_stream, some) => note(some),
        shown: {
          kind: "byPosition",
          keysOf: () => new Set(),
          isLong: () => false,
          again: async (_stream, some) => note(some),
        },
      };
      const deps = { database, bus: name === "a" ? bus : changed(log, {}), now: Date.now, instance: name };
      return consumeBatch({ hub: HUB, partitionId: "0", events }, handler, {
        ...deps,
        retryBudgetMs: 30_000,
      });
    };
    await store("a", batch);
    await byB;
    expect(shown.map((text) => text.slice(2))).toEqual(["0", "1", "2", "3"]);
    expect(await position()).toMatchObject({ stored: 3, broadcast: 3 });
  });
});
