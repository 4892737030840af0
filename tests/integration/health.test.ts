import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { type HealthDeps, health } from "../../shared/calls/health.js";
import { createFaults } from "../../shared/platform/faults.js";
import { type Database, openDatabase } from "../../shared/store/database.js";
import { readMigrations } from "../../shared/store/migrate.js";
import { SCHEMA_VERSION } from "../../shared/store/schemaVersion.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { FakeEventBus } from "../fakes/eventBus.js";
import { FakeSessionStore } from "../fakes/sessionStore.js";
import { newDatabase } from "../support/database.js";

let url: string;
let root: Database;
let close: () => Promise<void>;
const open: Database[] = [];
let sessions: FakeSessionStore;
let deps: HealthDeps;
let time = 0;
const said: { level: string; what: string; statement?: string }[] = [];

beforeAll(async () => {
  ({ url, database: root, close } = await newDatabase());
});
afterAll(() => close());

/** Of one process; those of the same session store know of each other. */
const anotherProcess = (name = "here"): HealthDeps => {
  const faults = createFaults(sessions, { mysql: name, eventHubs: "", webPubSub: "" }, () => time);
  const database = openDatabase(url, { onFault: (fault) => faults.note("mysql", fault) });
  open.push(database);
  const [bus, broadcaster] = [new FakeEventBus({}), new FakeBroadcaster()];
  return {
    database,
    bus,
    broadcaster,
    redis: sessions,
    faults,
    lag: async () => [],
    formerBusState: () => undefined,
  };
};

beforeEach(() => {
  said.length = 0;
  vi.spyOn(console, "error").mockImplementation((line: string) => void said.push(JSON.parse(line)));
  sessions = new FakeSessionStore();
  sessions.now = () => time;
  deps = anotherProcess();
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const database of open.splice(0)) await database.end();
});

const stateOf = async (of = deps) => {
  const { status, dependencies } = await health(of);
  return [status, dependencies.mysql];
};

test("the version that the code needs is that of the last migration", () => {
  expect(readMigrations().at(-1)!.version).toBe(SCHEMA_VERSION);
});

describe("a statement that the database can't take", () => {
  const breakIt = () => expect(deps.database.query("SELECT 1 FROM nowhere")).rejects.toThrow("mended");

  test("makes all processes unhealthy, until it has not been seen for a while", async () => {
    expect(await stateOf()).toEqual(["up", "up"]);
    await breakIt();
    expect(await stateOf()).toEqual(["down", "down"]);
    const other = anotherProcess();
    expect(await stateOf(other)).toEqual(["down", "down"]);
    expect(await stateOf(anotherProcess("elsewhere"))).toEqual(["up", "up"]);
    time += 89_000;
    expect(await stateOf()).toEqual(["down", "down"]);
    time += 2_000;
    expect(await stateOf()).toEqual(["up", "up"]);
  });

  test("makes its own process unhealthy without the session store", async () => {
    sessions.away = true;
    await breakIt();
    expect((await health(deps)).status).toBe("down");
  });

  test("is said in one line a minute, each of its own, with the count of those that were left out", async () => {
    for (let times = 0; times < 20; times += 1) {
      await breakIt();
      await expect(deps.database.query("SELECT missing FROM rooms")).rejects.toThrow("mended");
      time += 5_000;
    }
    expect(said.map(({ what }) => /nowhere|missing/.exec(what)?.[0])).toEqual([
      "nowhere",
      "missing",
      "nowhere",
      "missing",
    ]);
    expect(said[2]).toMatchObject({ level: "error", statement: "SELECT 1 FROM nowhere", suppressed: 11 });
  });
});

test("tables of an older version make it unhealthy, and that is said", async () => {
  await root.query("DELETE FROM schema_migrations WHERE version = ?", [SCHEMA_VERSION]);
  expect(await stateOf()).toEqual(["down", "down"]);
  expect(said.map(({ what }) => what)).toEqual([
    `the tables are those of migration ${SCHEMA_VERSION - 1}, this app needs ${SCHEMA_VERSION}`,
  ]);
  await root.query("DROP TABLE schema_migrations");
  time += 60_000;
  expect(await stateOf()).toEqual(["down", "down"]);
  expect(said.at(-1)!.what).toContain("schema_migrations");
});

test("an older or newer version, or a key that isn't right, is the affair of those who have it", async () => {
  deps.faults.note("mysql", { kind: "version", what: "older", isOwn: true });
  expect(await deps.faults.any("mysql")).toBe(true);
  expect(await anotherProcess().faults.any("mysql")).toBe(false);
});

test("what is alike is said once a minute, whatever else its text holds, and a flood of it hides nothing else", () => {
  for (let index = 0; index < 500; index += 1)
    deps.faults.note("eventHubs", {
      kind: "UnauthorizedError",
      what: `TrackingId:${index} ${"x".repeat(2_000)}`,
    });
  deps.faults.note("eventHubs", { kind: "MessagingEntityNotFoundError", what: "gone" });
  expect(said).toHaveLength(2);
  expect(said[0]!.what.length).toBe(500);
});

test("a password that is no longer right is a fault, too", async () => {
  const wrong = new URL(url);
  wrong.password = "wrong";
  const locked = openDatabase(wrong.href, { onFault: (fault) => deps.faults.note("mysql", fault) });
  await expect(locked.query("SELECT 1")).rejects.toMatchObject({ details: { toBeMended: true } });
  expect(said[0]!.what).toContain("ER_ACCESS_DENIED_ERROR");
  await locked.end();
});

describe("parts that never answer", () => {
  const silent = () => new Promise<never>(() => {});
  afterEach(() => void vi.useRealTimers());

  test("are named within a second, and asked once however often it is looked", async () => {
    let asked = 0;
    const ping = () => {
      asked += 1;
      return silent();
    };
    const hanging: HealthDeps = {
      ...deps,
      database: { ...deps.database, getConnection: silent, query: silent },
      bus: Object.assign(new FakeEventBus({}), { ping }),
      broadcaster: Object.assign(new FakeBroadcaster(), { ping: silent }),
      redis: { ping: silent },
      lag: silent,
      formerBusState: silent,
    };
    vi.useFakeTimers();
    const looks = Promise.all([health(hanging), health(hanging), health(hanging)]);
    await vi.advanceTimersByTimeAsync(1_000);
    for (const look of await looks)
      expect(look).toEqual({
        status: "down",
        dependencies: { mysql: "down", redis: "down", eventHubs: "down", webPubSub: "down" },
        lag: {
          messages: { events: null, oldestSeconds: null },
          reads: { events: null, oldestSeconds: null },
        },
        formerBus: "draining",
      });
    expect(asked).toBe(1);
    await vi.advanceTimersByTimeAsync(2_000);
    void health(hanging);
    expect(asked).toBe(2);
  });
});
