import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { check } from "../chaos/checker/check.js";
import { startWorld, type World } from "../chaos/clients/world.js";
import { tokenFor } from "../support/client.js";
import { ownStack } from "../support/ownStack.js";

const stack = ownStack();
const SECONDS = 15;
/** Twelve users, six of them with two devices. */
const DEVICES = 18;

/** Runs the load of the breaking machine, and has it checked. */
async function judged(seed: number, calm: boolean, disturb: (world: World) => Promise<void>) {
  const { webPubSub: socketUrl, api: callsUrl, mysql } = stack.addresses;
  const { hostname: host, port, username: user, password, pathname } = new URL(mysql);
  const database = { host, port: Number(port), user, password, database: pathname.slice(1) };
  const token = (of: string): Promise<string> => tokenFor(Number(of));
  const folder = mkdtempSync(join(tmpdir(), "nonstop-load-"));
  const target = { socketUrl, callsUrl, token, database };
  const world = await startWorld({ target, seed, folder, calm, log: console.log });
  await disturb(world);
  await world.finish();
  const checked = await check(folder, database);
  // A run with findings leaves its histories.
  if (checked.findings.length === 0) rmSync(folder, { recursive: true });
  return { findings: checked.findings, counts: { ...world.counts(), ...checked.counts } };
}

test("a load without a fault breaks no promise", async () => {
  const { findings, counts } = await judged(1, true, () => sleep(SECONDS * 1_000));
  expect(findings).toEqual([]);
  expect(counts["accepted"]).toBeGreaterThan(50);
});

test("one whose clients are cut, and whose functions host is killed, breaks none", async () => {
  const { findings, counts } = await judged(2, false, async (world) => {
    await sleep(5_000);
    world.kill();
    await sleep(5_000);
    stack.kill("functionsHost", "SIGKILL");
    const goOn = await world.hold();
    const { send = 0 } = world.counts();
    await sleep(1_000);
    expect(world.counts()["send"]).toBe(send);
    goOn();
    await sleep(5_000);
  });
  expect(findings).toEqual([]);
  // All of its devices came back.
  expect(counts["closed"]).toBeGreaterThanOrEqual(DEVICES);
});
