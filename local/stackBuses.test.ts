import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { busFromEnvironment, StackBuses } from "./stackBuses.js";
import { StackFolder } from "./stackFolder.js";

const PORTS = { eventHubs: 5672, kafka: 9092 };
const EVENT_HUBS =
  "Endpoint=sb://127.0.0.1:5672;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;";

/** What the app must not take from elsewhere. */
const PLAIN = { EVENT_TRIGGER: "", KAFKA_SECURITY_PROTOCOL: "", KAFKA_SASL_MECHANISM: "" };

let folder: StackFolder;
beforeEach(() => {
  folder = new StackFolder(mkdtempSync(join(tmpdir(), "nonstop-buses-")));
});
afterEach(() => {
  folder.release();
  rmSync(folder.path, { recursive: true, force: true });
});

/** A start that comes as far as its app. */
function started(bus: "eventhubs" | "kafka", brokers?: string): StackBuses {
  const buses = new StackBuses(folder, bus, brokers);
  buses.writeDown();
  return buses;
}
const note = () => JSON.parse(readFileSync(folder.file("bus.json"), "utf8"));
const servers = (buses: StackBuses) => [buses.runs("eventHubs"), buses.runs("kafka")];

describe("a stack", () => {
  test("runs Event Hubs alone by default, and tells the app of nothing else", () => {
    const buses = started("eventhubs");
    expect(servers(buses)).toEqual([true, false]);
    expect(buses.addresses(PORTS)).toEqual({ eventHubs: EVENT_HUBS });
    expect(buses.settings(PORTS)).toEqual({
      ...PLAIN,
      EVENT_BUS: "eventhubs",
      EVENT_HUBS_CONNECTION: EVENT_HUBS,
      KAFKA_BROKERS: "",
    });
    expect(note()).toEqual({ bus: "eventhubs" });
  });

  test("runs Kafka alone on a new folder", () => {
    const buses = started("kafka");
    expect(servers(buses)).toEqual([false, true]);
    expect(buses.settings(PORTS)).toEqual({
      ...PLAIN,
      EVENT_BUS: "kafka",
      EVENT_HUBS_CONNECTION: "",
      KAFKA_BROKERS: "127.0.0.1:9092",
    });
    expect(note()).toEqual({ bus: "kafka" });
  });

  test("runs no Kafka where KAFKA_BROKERS names one, which counts for Kafka only", () => {
    expect(servers(started("eventhubs", "b1:9092"))).toEqual([true, false]);
    expect(started("eventhubs", "b1:9092").settings(PORTS)["KAFKA_BROKERS"]).toBe("");
    const buses = started("kafka", "b1:9092,b2:9092");
    expect(servers(buses)).toEqual([true, false]);
    expect(buses.settings(PORTS)["KAFKA_BROKERS"]).toBe("b1:9092,b2:9092");
    // The login of that one comes from the environment.
    expect(buses.settings(PORTS)).not.toHaveProperty("KAFKA_SECURITY_PROTOCOL");
  });
});

describe("a change of the bus", () => {
  test.each([["eventhubs", "kafka"] as const, ["kafka", "eventhubs"] as const])(
    "from %s to %s keeps both running, also in later starts",
    (before, after) => {
      started(before);
      for (let start = 1; start <= 2; start += 1) {
        const buses = started(after);
        expect([buses.present.bus, buses.former]).toEqual([after, before]);
        expect(servers(buses)).toEqual([true, true]);
        expect(buses.settings(PORTS)).toEqual({
          ...PLAIN,
          EVENT_BUS: after,
          EVENT_HUBS_CONNECTION: EVENT_HUBS,
          KAFKA_BROKERS: "127.0.0.1:9092",
        });
      }
      expect(note()).toEqual({ bus: after, former: { bus: before } });
    },
  );

  test("counts only once the app may have published: a start that fails before changes nothing", () => {
    started("eventhubs");
    new StackBuses(folder, "kafka", undefined);
    const buses = started("eventhubs");
    expect([buses.present.bus, buses.former]).toEqual(["eventhubs", undefined]);
  });

  test("is seen on the data folder of an older version, which had Event Hubs alone", () => {
    mkdirSync(folder.file("eventHubs"));
    expect(new StackBuses(folder, "kafka", undefined).former).toBe("eventhubs");
    expect(new StackBuses(folder, "eventhubs", undefined).former).toBe(undefined);
  });

  test("back, before the change is done, is refused, as messages would be stored in a wrong order", () => {
    started("eventhubs");
    started("kafka");
    expect(() => new StackBuses(folder, "eventhubs", undefined)).toThrow(
      'the change from Event Hubs to its own Kafka is not done, as messages still wait in the former: start once more with --bus kafka until "eventhubs: all that waited there is stored"',
    );
  });

  test("from a Kafka elsewhere remembers where it is, unless KAFKA_BROKERS says where it is now", () => {
    started("kafka", "b1:9092");
    expect(new StackBuses(folder, "eventhubs", undefined).addresses(PORTS).kafka).toBe("b1:9092");
    const moved = new StackBuses(folder, "eventhubs", "b9:9092");
    expect(servers(moved)).toEqual([true, false]);
    expect(moved.settings(PORTS)["KAFKA_BROKERS"]).toBe("b9:9092");
  });

  test("from the stack's own Kafka keeps that running, whatever KAFKA_BROKERS says", () => {
    started("kafka");
    const buses = new StackBuses(folder, "eventhubs", "b1:9092");
    expect(servers(buses)).toEqual([true, true]);
    expect(buses.settings(PORTS)["KAFKA_BROKERS"]).toBe("127.0.0.1:9092");
  });

  test("from one Kafka to another is refused", () => {
    started("kafka");
    expect(() => new StackBuses(folder, "kafka", "b1:9092")).toThrow(
      "this data folder used its own Kafka until now, and messages may wait there: use it again, or change by way of --bus eventhubs",
    );
  });

  test("names a former Kafka that can't be run any more, and changes nothing", async () => {
    started("kafka");
    const buses = new StackBuses(folder, "eventhubs", undefined);
    const nothing = { PATH: "/nowhere", KAFKA_HOME: "/nowhere" };
    const find = buses.findKafka(nothing, () => {}, new AbortController().signal);
    await expect(find).rejects.toThrow(
      /^messages may still wait in the Kafka of this data folder, so it has/,
    );
    await expect(find).rejects.toThrow(`To give these messages up, delete ${folder.file("bus.json")}`);
    expect(note()).toEqual({ bus: "kafka" });
  });

  test("names a former Kafka elsewhere that does not answer", async () => {
    started("kafka", "127.0.0.1:1");
    const buses = new StackBuses(folder, "eventhubs", undefined);
    await expect(buses.reachBrokers({})).rejects.toThrow(
      "messages may still wait in the Kafka at 127.0.0.1:1, which does not answer (connect ECONNREFUSED 127.0.0.1:1): " +
        `start it, or say in KAFKA_BROKERS where it is now. To give these messages up, delete ${folder.file("bus.json")}`,
    );
    await expect(new StackBuses(folder, "kafka", "127.0.0.1:1").reachBrokers({})).rejects.toThrow(
      "the server in KAFKA_BROKERS does not answer (connect ECONNREFUSED 127.0.0.1:1): start it, or unset KAFKA_BROKERS to have one started",
    );
  });

  test.each(["", "{", "[]", '{"bus": "rabbit"}', '{"bus": "kafka", "former": {}}'])(
    "is not guessed from a damaged bus.json: %s",
    (text) => {
      writeFileSync(folder.file("bus.json"), text);
      expect(() => new StackBuses(folder, "kafka", undefined)).toThrow(
        `${folder.file("bus.json")} can't be read: put {"bus": "eventhubs"} there`,
      );
    },
  );
});

describe("a former bus", () => {
  let health: object = {};
  let api: Server;
  let url: string;
  beforeEach(async () => {
    api = createServer((_, response) => response.end(JSON.stringify(health)));
    await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
  });
  afterEach(() => new Promise((resolve) => api.close(resolve)));

  test("is forgotten once the API says that it is drained", async () => {
    started("eventhubs");
    const said: string[] = [];
    const buses = started("kafka");
    health = { status: "up", formerBus: "draining" };
    const forgotten = buses.forgetWhenDrained(url, new AbortController().signal, (line) => said.push(line));
    await expect
      .poll(() => said)
      .toEqual(["eventhubs: the bus before runs until all that waits there is stored"]);
    expect(note()).toEqual({ bus: "kafka", former: { bus: "eventhubs" } });
    health = { status: "up", formerBus: "drained" };
    await forgotten;
    expect(said[1]).toBe("eventhubs: all that waited there is stored; the next start is without it");
    expect(note()).toEqual({ bus: "kafka" });
    expect(servers(started("kafka"))).toEqual([false, true]);
  });

  test.each([{}, { formerBus: "draining" }, []])("is kept while the API says %j", async (answer) => {
    started("kafka");
    const buses = started("eventhubs");
    health = answer;
    const stopping = new AbortController();
    const asked = new Promise((resolve) =>
      api.once("request", (_, response) => response.once("finish", resolve)),
    );
    const forgotten = buses.forgetWhenDrained(url, stopping.signal, () => {});
    await asked;
    stopping.abort();
    await forgotten;
    expect(note()).toEqual({ bus: "eventhubs", former: { bus: "kafka" } });
  });
});

test.each([
  [undefined, "eventhubs"],
  ["", "eventhubs"],
  ["kafka", "kafka"],
])("EVENT_BUS %j chooses %s", (text, bus) => {
  expect(busFromEnvironment(text === undefined ? {} : { EVENT_BUS: text })).toBe(bus);
});

test("EVENT_BUS must be a bus", () => {
  expect(() => busFromEnvironment({ EVENT_BUS: "Kafka" })).toThrow(
    'EVENT_BUS is "Kafka" but must be eventhubs or kafka',
  );
});
