import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { PartitionOwnership } from "@azure/event-hubs";
import { ContainerClient } from "@azure/storage-blob";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { startAzurite } from "../services/azurite.js";
import type { Service } from "../services/service.js";
import { LocalCheckpointStore, OWNERSHIP_MS } from "./checkpoints.js";
import { isGone, machine, ownerName } from "./owners.js";

const owner = (process: number | string, where = machine) => `functionsHost-${where}-${process}-0123abcd`;

test("knows whether an owner of this machine still runs", async () => {
  expect(isGone(ownerName())).toBe(false);
  expect(isGone(owner(process.pid))).toBe(false);
  const child = spawn(process.execPath, ["--version"], { stdio: "ignore" });
  await once(child, "exit");
  expect(isGone(owner(child.pid!))).toBe(true);
  expect(isGone(owner(child.pid!, "elsewhere"))).toBe(false);
  expect(isGone("")).toBe(false);
});

test.runIf(existsSync("/proc/self/stat"))(
  "takes one for gone whose number another process has by now",
  () => {
    expect(isGone(owner(`${process.pid}-1-0123abcd`))).toBe(true);
  },
);

test.runIf(existsSync("/proc/self/stat"))("takes one for gone that nobody asked how it ended", async () => {
  // The second sleep stands in for a parent that never asks. The first one ends behind the shell, which would ask.
  const parent = spawn("sh", ["-c", "sleep 1 & echo $!; exec sleep 60"]);
  const [pid] = await once(createInterface(parent.stdout), "line");
  await vi.waitFor(() => expect(isGone(owner(pid))).toBe(true), { timeout: 300_000 });
  expect(() => process.kill(Number(pid), 0)).not.toThrow();
  parent.kill("SIGKILL");
});

describe("ownerships", () => {
  const folder = mkdtempSync(join(tmpdir(), "nonstop-ownerships-"));
  let storage: Service;
  beforeAll(async () => {
    storage = await startAzurite({ data: folder });
  });
  afterAll(async () => {
    await storage.close();
    rmSync(folder, { recursive: true, force: true });
  });
  afterEach(() => vi.restoreAllMocks());

  const stream = { fullyQualifiedNamespace: "namespace", eventHubName: "hub" };

  /** A host: its store, and what it asks the storage for. */
  async function host(group: string) {
    const container = new ContainerClient(storage.url, "ownerships");
    await container.createIfNotExists();
    const store = new LocalCheckpointStore(container);
    const ownerId = ownerName();
    const list = () => store.listOwnership("namespace", "hub", group);
    /** As the SDK does once a second: looks, and claims or renews each of these partitions. */
    const balance = async (...partitions: string[]): Promise<readonly string[]> => {
      const known = new Map((await list()).map((one) => [one.partitionId, one]));
      const claimed: PartitionOwnership[] = [];
      for (const partitionId of partitions) {
        const etag = known.get(partitionId)?.etag;
        const request = { ...stream, consumerGroup: group, ownerId, partitionId, ...(etag ? { etag } : {}) };
        claimed.push(...(await store.claimOwnership([request])));
      }
      return claimed.map((one) => one.partitionId);
    };
    const asked = {
      lists: vi.spyOn(container, "listBlobsFlat"),
      writes: vi.spyOn(container, "getBlobClient"),
    };
    const counts = () => [asked.lists.mock.calls.length, asked.writes.mock.calls.length];
    return { store, ownerId, list, balance, counts };
  }

  test("of one host that has all are looked at and renewed now and then, and in time", async () => {
    const clock = vi.spyOn(performance, "now").mockReturnValue(1_000_000);
    const one = await host("alone");
    expect(await one.balance("0", "1", "2")).toEqual(["0", "1", "2"]);
    const [lists, writes] = one.counts();
    const before = await one.list();
    for (let second = 1; second < 5; second += 1) {
      clock.mockReturnValue(1_000_000 + second * 1_000);
      expect(await one.balance("0", "1", "2")).toEqual(["0", "1", "2"]);
    }
    expect(one.counts()).toEqual([lists, writes]);
    for (let second = 5; second * 1_000 < OWNERSHIP_MS; second += 1) {
      clock.mockReturnValue(1_000_000 + second * 1_000);
      expect(await one.balance("0", "1", "2")).toEqual(["0", "1", "2"]);
    }
    expect(one.counts()).toEqual([lists! + 2, writes! * 3]);
    const after = await (await host("alone")).list();
    expect(after.map((now) => now.etag)).not.toEqual(before.map((then) => then.etag));
    expect(after.map((now) => now.ownerId)).toEqual(Array(3).fill(one.ownerId));
  });

  test("of several hosts are asked for each time, and each renews its own", async () => {
    const [one, other] = [await host("several"), await host("several")];
    await one.balance("0");
    await other.balance("1");
    one.store.lookAgain();
    for (let time = 0; time < 3; time += 1) expect(await one.balance("0")).toEqual(["0"]);
    expect(one.counts()[0]).toBe(4);
    // Each lists what the other has.
    const owners = (await one.list()).map(({ ownerId }) => ownerId);
    expect(owners).toEqual([one.ownerId, other.ownerId]);
  });

  test("that another host has taken are not renewed, and are seen at the next look", async () => {
    const [one, other] = [await host("taken"), await host("taken")];
    await one.balance("0", "1");
    expect(await other.balance("1")).toEqual(["1"]);
    // All is its own, as far as it knows.
    expect((await one.list()).map(({ ownerId }) => ownerId)).toEqual([one.ownerId, one.ownerId]);
    one.store.lookAgain();
    expect((await one.list()).map(({ ownerId }) => ownerId)).toEqual([one.ownerId, other.ownerId]);
    // By what it knew before it gets nothing.
    const [late] = await one.list();
    await other.balance("0");
    expect(await one.store.claimOwnership([{ ...late!, ownerId: "" }])).toEqual([]);
    expect((await one.list()).map(({ ownerId }) => ownerId)).toEqual([other.ownerId, other.ownerId]);
  });

  test("of a host that is about to end are given up at once", async () => {
    const one = await host("ending");
    await one.balance("0", "1");
    const own = (await one.list()).map((ownership) => ({ ...ownership, ownerId: "" }));
    expect(await one.store.claimOwnership(own)).toHaveLength(2);
    expect((await (await host("ending")).list()).map(({ ownerId }) => ownerId)).toEqual(["", ""]);
  });
});
