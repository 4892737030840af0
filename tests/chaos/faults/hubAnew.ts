import { rmSync } from "node:fs";
import { join } from "node:path";
import { Admin } from "@platformatic/kafka";
import { pick } from "../random.js";
import { HUBS } from "../stack/busLog.js";
import { makeTopics } from "../stack/specs.js";
import type { Stack } from "../stack/stack.js";
import { within } from "../wait.js";
import { type Kind, type Machine, requireAllStored } from "./kind.js";

const MADE_MS = 60_000;

/** A hub is deleted and made again, and the readers' checkpoints stay. All it held was stored before. */
export const hubAnew: Kind = {
  name: "hub made anew",
  isAlone: true,
  draw: (random) => ({ target: pick(random, [HUBS[0], ...HUBS]), ms: 500, amount: 0 }),
  async start(machine, { target }) {
    const { stack } = machine;
    const release = await machine.quiet();
    try {
      await (stack.bus === "kafka" ? topicAnew(stack, target) : folderAnew(machine, target));
    } finally {
      await stack.parts.bus.up().finally(release);
    }
    return async () => {};
  },
};

async function folderAnew(machine: Machine, hub: string): Promise<void> {
  const { folder, parts } = machine.stack;
  await parts.bus.down("SIGTERM");
  await requireAllStored(machine);
  rmSync(join(folder, "eventHubs", hub), { recursive: true });
  await parts.bus.up();
}

async function topicAnew({ ports }: Stack, topic: string): Promise<void> {
  const admin = new Admin({
    clientId: "chaos",
    bootstrapBrokers: [`127.0.0.1:${ports.parts.bus}`],
    retries: 20,
    retryDelay: 200,
  });
  try {
    await admin.deleteTopics({ topics: [topic] });
  } finally {
    await admin.close();
  }
  // The name is free a moment later.
  let failure = "";
  const isMade = (): Promise<boolean> =>
    makeTopics(ports).then(
      () => true,
      (error: Error) => {
        failure = error.message;
        return false;
      },
    );
  if (!(await within(MADE_MS, isMade))) throw new Error(`${topic} can't be made again: ${failure}`);
}
