import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import deployed from "../../infra/hubs.json" with { type: "json" };
import local from "../../local/hubs.json" with { type: "json" };
import { HUBS } from "../../shared/events/hubs.js";
import { MESSAGES_DEAD_LETTER_HUB, MESSAGES_HUB, RECOVER_GROUP } from "../../shared/events/messages.js";
import { READS_DEAD_LETTER_HUB, READS_HUB } from "../../shared/events/reads.js";
import { at, ofType, SIZES, type Size, snapshotOf } from "./snapshots.js";

/** What a size says otherwise than the table, as only a deployment may. */
const PARTITIONS: Record<Size, Record<string, number>> = {
  dev: { "chat-messages": 4, "chat-read-events": 4 },
  prod: { "chat-messages": 32, "chat-read-events": 16 },
};

describe("the one table of hubs", () => {
  test("has every hub that the code names", () => {
    expect(Object.keys(HUBS).sort()).toEqual(
      [MESSAGES_HUB, MESSAGES_DEAD_LETTER_HUB, READS_HUB, READS_DEAD_LETTER_HUB].sort(),
    );
  });

  test("has every consumer group that a trigger reads by, and that of recovery", () => {
    const triggers = readdirSync("functions")
      .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
      .flatMap((name) => [
        ...readFileSync(`functions/${name}`, "utf8").matchAll(/^storeHub\("[^"]+", "([^"]+)", "([^"]+)"/gm),
      ])
      .map(([, hub, group]) => [hub, [group, RECOVER_GROUP]]);
    const read = Object.entries(HUBS).filter(([, { consumerGroups }]) => consumerGroups.length > 0);
    expect(triggers).toEqual(read.map(([hub, { consumerGroups }]) => [hub, consumerGroups]));
    expect(triggers).toHaveLength(2);
  });

  test("is the deployment's", () => {
    expect(deployed.hubs).toEqual(HUBS);
  });

  test("is the local one in hubs and groups; there fewer partitions and less time are enough", () => {
    const groupsOf = (hubs: Record<string, { consumerGroups: readonly string[] }>) =>
      Object.fromEntries(Object.entries(hubs).map(([hub, { consumerGroups }]) => [hub, consumerGroups]));
    expect(groupsOf(local.hubs)).toEqual(groupsOf(HUBS));
    for (const [hub, { partitions, retentionHours }] of Object.entries(local.hubs)) {
      expect(partitions, hub).toBeLessThanOrEqual(HUBS[hub]?.partitions ?? 0);
      expect(retentionHours, hub).toBeLessThanOrEqual(HUBS[hub]?.retentionHours ?? 0);
    }
  });
});

describe.each(SIZES)("what %s would make", (size) => {
  const snapshot = snapshotOf(size);
  const lastOf = (name: string): string => name.split("/").at(-1) ?? "";

  test("is these hubs, with these partitions and this retention", () => {
    const hubs = ofType(snapshot, "Microsoft.EventHub/namespaces/eventhubs").map(({ name, properties }) => [
      lastOf(name),
      at(properties, "partitionCount"),
      at(properties, "retentionDescription"),
    ]);
    expect(hubs).toEqual(
      Object.entries(HUBS)
        .sort()
        .map(([hub, { partitions, retentionHours }]) => [
          hub,
          PARTITIONS[size][hub] ?? partitions,
          { cleanupPolicy: "Delete", retentionTimeInHours: retentionHours },
        ]),
    );
  });

  test("is these consumer groups", () => {
    const groups = ofType(snapshot, "Microsoft.EventHub/namespaces/eventhubs/consumergroups").map(
      ({ name }) => name.split("/").slice(1),
    );
    expect(groups.sort()).toEqual(
      Object.entries(HUBS)
        .flatMap(([hub, { consumerGroups }]) => consumerGroups.map((group) => [hub, group]))
        .sort(),
    );
  });

  test("keeps nothing longer than the tier can", () => {
    for (const { retentionHours } of Object.values(HUBS)) expect(retentionHours).toBeLessThanOrEqual(168);
  });
});
