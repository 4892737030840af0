import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { CommandDeps } from "../../shared/commands/command.js";
import { handleMessage } from "../../shared/commands/dispatch.js";
import { groupName } from "../../shared/fanout/groups.js";
import { forgetUnused, requireFreeId } from "../../shared/fanout/subscriptionIds.js";
import { ChatError } from "../../shared/platform/errors.js";
import type { Database } from "../../shared/store/database.js";
import { addSubscriptionId, listSubscriptionIds } from "../../shared/store/subscriptionIds.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { commandDeps } from "../fakes/commandDeps.js";
import { newDatabase } from "../support/database.js";

let database: Database;
let closeDatabase: () => Promise<void>;
let broadcaster: FakeBroadcaster;
let deps: CommandDeps;
let key: string;
let keys = 0;
let users = 0;
/** Each subscriber is somebody else. */
const nextUser = () => ({ userId: ++users, connectionId: "one" });
const IDS_PER_DESTINATION = 256;
/** What frames call it; as an id it is always free. */
const DESTINATION = "/sub/chat/room/1";

beforeAll(async () => {
  ({ database, close: closeDatabase } = await newDatabase());
});
afterAll(() => closeDatabase());
beforeEach(() => {
  broadcaster = new FakeBroadcaster();
  key = `r${++keys}`;
  deps = commandDeps({ database, broadcaster });
});

const ids = async (): Promise<readonly string[]> =>
  ((await listSubscriptionIds(database, [key])).get(key) ?? []).map(({ wire }) => wire).sort();

/** In the order of SUBSCRIBE: first a place, then the group, then the id. */
async function subscribe(connectionId: string, id: string): Promise<void> {
  await requireFreeId({ key, destination: DESTINATION, lane: key, wire: id, connection: nextUser() }, deps);
  await broadcaster.joinGroup(connectionId, groupName(key, id));
  await addSubscriptionId(database, key, id);
}

/** In the order of UNSUBSCRIBE: first the group, then the id if nobody else is there. */
async function unsubscribe(connectionId: string, id: string): Promise<void> {
  await broadcaster.leaveGroup(connectionId, groupName(key, id));
  await forgetUnused([{ lane: key, wire: id }], deps);
}

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** SUBSCRIBE to the room of the key, by user 7 on a connection with these subscriptions. */
const handleSubscribe = (id: string, subscriptions: ReadonlyMap<string, string>) => {
  const destination = `/sub/chat/room/${key.slice(1)}`;
  const data = Buffer.from(`SUBSCRIBE\nid:${id}\ndestination:${destination}\nreceipt:1\n\n\0`);
  const state = { version: "1.2" as const, expiresAt: Date.now() / 1_000 + 60, subscriptions };
  return handleMessage({ data, eventId: "1" }, { connectionId: "conn-1", userId: 7, state }, deps);
};

describe("an id", () => {
  test("is there once, however many use it, until the last one has gone", async () => {
    await subscribe("a", "sub-0");
    await subscribe("b", "sub-0");
    expect(await ids()).toEqual(["sub-0"]);
    await unsubscribe("a", "sub-0");
    expect(await ids()).toEqual(["sub-0"]);
    await unsubscribe("b", "sub-0");
    expect(await ids()).toEqual([]);
  });

  test("is known by its bytes", async () => {
    const all = ["a", "A", "a ", "é", "e\u0301", "비", "own\\cid", "i".repeat(256), "%", "_", "'"];
    for (const id of all) await subscribe("a", id);
    expect(await ids()).toEqual([...all].sort());
  });

  test("belongs to its destination only", async () => {
    await addSubscriptionId(database, `${key}x`, "other");
    await subscribe("a", "sub-0");
    await forgetUnused(
      ["sub-0", "other"].map((wire) => ({ lane: key, wire })),
      deps,
    );
    expect((await listSubscriptionIds(database, [key, `${key}x`])).get(`${key}x`)).toEqual([
      { wire: "other", packed: false },
    ]);
  });
});

describe("a new subscriber is never forgotten", () => {
  /**
   * Someone leaves, and at one of the two looks for the group a new subscriber begins, is let run for some
   * turns of the event loop, and goes on beside the removal.
   */
  test.each([1, 2])("when it comes at look %i, from any turn of the removal on", async (look) => {
    for (let lead = 0; lead <= 24; lead += 1) {
      await subscribe("a", "sub-0");
      let looks = 0;
      let other: Promise<void> | undefined;
      broadcaster.beforeGroupExists = async () => {
        looks += 1;
        if (looks !== look) return;
        other = subscribe("b", "sub-0");
        await turns(lead);
      };
      await unsubscribe("a", "sub-0");
      await other;
      expect([lead, other !== undefined, await ids()]).toEqual([lead, true, ["sub-0"]]);
      broadcaster.beforeGroupExists = () => {};
      await unsubscribe("b", "sub-0");
      expect(await ids()).toEqual([]);
    }
  });

  test("when it has joined the group but not added its id before the removal is committed", async () => {
    for (let lead = 0; lead <= 24; lead += 1) {
      await subscribe("a", "sub-0");
      const left = unsubscribe("a", "sub-0");
      await turns(lead);
      await broadcaster.joinGroup("b", groupName(key, "sub-0"));
      await left;
      await addSubscriptionId(database, key, "sub-0");
      expect([lead, await ids()]).toEqual([lead, ["sub-0"]]);
      await unsubscribe("b", "sub-0");
    }
  });

  test("when several removals of one id run at once, which must not fail for each other's locks", async () => {
    for (let lead = 0; lead <= 12; lead += 1) {
      await subscribe("a", "sub-0");
      await broadcaster.leaveGroup("a", groupName(key, "sub-0"));
      let looks = 0;
      let other: Promise<void> | undefined;
      broadcaster.beforeGroupExists = async () => {
        looks += 1;
        if (looks <= 4) return;
        // The first of four removals holds the lock now, and the others have had time to wait for it.
        await new Promise((resolve) => setTimeout(resolve, lead));
        other ??= subscribe("b", "sub-0");
        await new Promise((resolve) => setTimeout(resolve, lead % 4));
      };
      await Promise.all([1, 2, 3, 4].map(() => forgetUnused([{ lane: key, wire: "sub-0" }], deps)));
      await other;
      expect([lead, await ids()]).toEqual([lead, ["sub-0"]]);
      broadcaster.beforeGroupExists = () => {};
      await unsubscribe("b", "sub-0");
    }
  });

  test("while its id is being removed it stays visible to broadcasts until the removal is certain", async () => {
    await subscribe("a", "sub-0");
    const seen: (readonly string[])[] = [];
    broadcaster.beforeGroupExists = async () => void seen.push(await ids());
    await unsubscribe("a", "sub-0");
    expect(seen).toEqual([["sub-0"], ["sub-0"]]);
  });

  test("while many come and go at once, with a few ids", async () => {
    const pool = ["sub-0", "sub-1", "sub-2"];
    const wanted = new Map<string, string>();
    let step = 0;
    const client = async (name: string, seed: number): Promise<void> => {
      for (let round = 0; round < 25; round += 1) {
        const id = pool[(seed + round * 7) % pool.length]!;
        await subscribe(name, id);
        wanted.set(name, id);
        // From here on until it leaves, this id has to be there.
        expect(await ids()).toContain(id);
        await turns((seed * 5 + round) % 4);
        step += 1;
        if (round === 24 && seed % 2 === 0) return;
        wanted.delete(name);
        await unsubscribe(name, id);
      }
    };
    await Promise.all(Array.from({ length: 12 }, (_, seed) => client(`client-${seed}`, seed)));
    expect(step).toBe(300);
    expect(await ids()).toEqual([...new Set(wanted.values())].sort());
  });
});

describe("a destination's 256 ids", () => {
  const fill = async (used: (index: number) => boolean): Promise<void> => {
    for (let index = 0; index < IDS_PER_DESTINATION; index += 1) {
      await addSubscriptionId(database, key, `id-${index}`);
      if (used(index)) await broadcaster.joinGroup(`c-${index}`, groupName(key, `id-${index}`));
    }
  };

  test("are all it takes, while each is used", async () => {
    await fill(() => true);
    await expect(
      requireFreeId(
        { key, destination: DESTINATION, lane: key, wire: "one more", connection: nextUser() },
        deps,
      ),
    ).rejects.toMatchObject({
      code: "TOO_MANY_SUBSCRIPTIONS",
    });
    expect(await ids()).toHaveLength(IDS_PER_DESTINATION);
    await subscribe("another", "id-7");
    expect(await ids()).toHaveLength(IDS_PER_DESTINATION);
  });

  test("keep nobody from using the destination as the id", async () => {
    await fill(() => true);
    await subscribe("another", DESTINATION);
    await subscribe("one who takes several frames a message", DESTINATION);
    expect(await ids()).toHaveLength(IDS_PER_DESTINATION + 1);
    // Nor does it count: where it is, there is room for as many others.
    await unsubscribe("c-0", "id-0");
    await subscribe("new", "one more");
    expect(await ids()).toHaveLength(IDS_PER_DESTINATION + 1);
  });

  test("make room for another one as soon as one of them is unused", async () => {
    await fill((index) => index !== 255);
    await subscribe("new", "one more");
    const left = await ids();
    expect(left).toHaveLength(IDS_PER_DESTINATION);
    expect(left).toContain("one more");
    expect(left).not.toContain("id-255");
  });

  test("are swept of everything that lost events left behind", async () => {
    await fill((index) => index < 3);
    await subscribe("new", "one more");
    expect(await ids()).toEqual(["id-0", "id-1", "id-2", "one more"]);
  });

  test("are cleared bit by bit long before, by those who come back", async () => {
    for (let index = 0; index < 60; index += 1) await addSubscriptionId(database, key, `stale-${index}`);
    let time = 0;
    deps = { ...deps, now: () => (time += 2) };
    for (let index = 0; index < 60; index += 1) await subscribe(`c-${index}`, "sub-0");
    expect((await ids()).length).toBeLessThanOrEqual(18);
    expect(await ids()).toContain("sub-0");
  });

  test("are not looked after for somebody who may not subscribe", async () => {
    await fill((index) => index < 3);
    const wanted = { key, destination: DESTINATION, lane: key, wire: "one more", connection: nextUser() };
    const refused = Promise.reject(new ChatError("NOT_A_MEMBER", "Not this one."));
    await expect(requireFreeId(wanted, deps, refused)).rejects.toMatchObject({ code: "NOT_A_MEMBER" });
    expect(await ids()).toHaveLength(IDS_PER_DESTINATION);
  });

  test("may be swept by several at once", async () => {
    await fill((index) => index < 3);
    await Promise.all(Array.from({ length: 8 }, (_, index) => subscribe(`new-${index}`, `new-${index}`)));
    expect(await ids()).toHaveLength(11);
  });

  test("leave no trace of a subscriber that was refused: not in the group, not in its state", async () => {
    await fill(() => true);
    const roomId = Number(key.slice(1));
    await deps.members.putMembers(roomId, [7], await deps.members.membersVersion(roomId));
    const subscriptions = new Map([["errors", "e7"]]);
    const answer = await handleSubscribe("one-more", subscriptions);
    expect(answer.text).toContain('"code":"TOO_MANY_SUBSCRIPTIONS"');
    expect(answer.state.subscriptions).toBe(subscriptions);
    expect(await broadcaster.groupExists(groupName(key, "one-more"))).toBe(false);
    expect(await ids()).not.toContain("one-more");
  });
});

test("a SUBSCRIBE that is repeated by somebody who was removed takes none of the user's ids", async () => {
  const answer = await handleSubscribe(
    "again",
    new Map([
      ["errors", "e7"],
      ["again", key],
    ]),
  );
  expect(answer.text).toContain('"code":"NOT_A_MEMBER"');
  const taken: (boolean | undefined)[] = [];
  for (const id of ["1", "2", "3", "4", "5", "6", "7", "8", "9"])
    taken.push(await deps.subscriptions.takeId(7, "conn-1", key, id, 8));
  expect(taken).toEqual([...Array.from({ length: 8 }, () => true), false]);
});
