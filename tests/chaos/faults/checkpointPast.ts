import { setTimeout as sleep } from "node:timers/promises";
import { BlobServiceClient } from "@azure/storage-blob";
import { storageConnection } from "../../../local/services/azurite.js";
import { between } from "../random.js";
import { type PartitionLog, readLogs } from "../stack/busLog.js";
import { HOSTS } from "../stack/names.js";
import type { Stack } from "../stack/stack.js";
import type { Kind } from "./kind.js";
import { setReadOnly } from "./readOnly.js";

/** Where the Functions host's extension keeps them. */
const CONTAINER = "azure-webjobs-eventhub";

/**
 * Batches fail for `amount` milliseconds, both hosts die, and their checkpoints are behind the failed batches, as
 * the real host writes them whether a function succeeded or not.
 */
export const checkpointPast: Kind = {
  name: "checkpoint past",
  isAlone: true,
  buses: ["eventhubs"],
  draw: (random) => ({ target: "all", ms: 500, amount: between(random, 1_000, 4_000) }),
  async start(machine, { amount }) {
    const { stack } = machine;
    const hosts = HOSTS.map((host) => stack.parts[host]);
    try {
      await setReadOnly(machine, true);
      await sleep(amount);
      await Promise.all(hosts.map((host) => host.down("SIGKILL")));
      machine.say(`${await moveCheckpoints(stack)} checkpoints moved to the end`);
    } finally {
      await setReadOnly(machine, false);
      await Promise.all(hosts.map((host) => host.up()));
    }
    return async () => {};
  },
};

/** Moves the checkpoint of each partition that a host reads to its last event, and returns how many there are. */
async function moveCheckpoints({ folder, bus, ports }: Stack): Promise<number> {
  const service = BlobServiceClient.fromConnectionString(storageConnection(ports.parts.storage));
  const container = service.getContainerClient(CONTAINER);
  const logs = readLogs(folder, bus).filter(({ last }) => last >= 0);
  let moved = 0;
  for await (const { name } of container.listBlobsFlat()) {
    const log = logs.find(({ hub, partition }) =>
      new RegExp(`/${hub}/.*/ownership/${partition}$`).test(name),
    );
    if (!log) continue;
    const checkpoint = container.getBlockBlobClient(name.replace("/ownership/", "/checkpoint/"));
    await checkpoint.upload("", 0, { metadata: atEndOf(log) });
    moved += 1;
  }
  return moved;
}

/** The offset is the place of the last record in the whole log. */
function atEndOf({ file, pieces, last }: PartitionLog): Record<string, string> {
  const base = Number(/-(\d+)\.log$/.exec(file)?.[1] ?? 0);
  return { sequencenumber: String(last), offset: String(base + (pieces.at(-1)?.start ?? 0)) };
}
