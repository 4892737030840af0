import { type PartitionLog, readLogs } from "./stack/busLog.js";
import { asRoot } from "./stack/database.js";
import type { Stack } from "./stack/stack.js";
import { within } from "./wait.js";

const OUTBOXES = ["membership_outbox", "read_outbox"] as const;

/** Logs that were cut, by their places: up to where, in which life of their hub. */
export type CutAt = Map<string, { readonly last: number; readonly life: string }>;

export const placeOf = ({ hub, partition }: PartitionLog): string => `${hub}/${partition}`;

/**
 * Waits until all that the bus has is stored and shown. Returns what still waits after `ms`, nothing where
 * nothing does.
 */
export async function untilStored(stack: Stack, cutAt: CutAt, ms: number): Promise<readonly string[]> {
  let waiting: readonly string[] = [];
  const isDone = async (): Promise<boolean> => {
    waiting = await whatWaits(stack, cutAt).catch((error: Error) => [error.message]);
    return waiting.length === 0;
  };
  await within(ms, isDone);
  return waiting;
}

async function whatWaits({ folder, bus, ports }: Stack, cutAt: CutAt): Promise<string[]> {
  const rows = await asRoot(
    ports.parts.mysql,
    "SELECT hub, partition_id, LEAST(stored_sequence_number, broadcast_sequence_number) AS done FROM stream_positions",
  );
  const isDone = (log: PartitionLog): boolean => {
    const cut = cutAt.get(placeOf(log));
    if (log.last === -1 || (cut?.last === log.last && cut.life === log.life)) return true;
    return rows.some(
      (row) =>
        row["hub"] === log.hub && row["partition_id"] === log.partition && Number(row["done"]) === log.last,
    );
  };
  const texts = (log: PartitionLog): string => {
    const done = rows.filter((row) => `${row["hub"]}/${row["partition_id"]}` === placeOf(log));
    return `${placeOf(log)} ends at ${log.last}, done up to ${done.map((row) => row["done"]).join(" or ")}`;
  };
  return readLogs(folder, bus)
    .filter((log) => !isDone(log))
    .map(texts);
}

/** Waits until the outboxes are empty. Returns those that are not after `ms`. */
export async function untilOutboxesEmpty(stack: Stack, ms: number): Promise<readonly string[]> {
  let left: readonly string[] = [];
  const isDone = async (): Promise<boolean> => {
    left = await fullOutboxes(stack).catch((error: Error) => [error.message]);
    return left.length === 0;
  };
  await within(ms, isDone);
  return left;
}

async function fullOutboxes({ ports }: Stack): Promise<string[]> {
  const left: string[] = [];
  for (const name of OUTBOXES) {
    const [row] = await asRoot(ports.parts.mysql, `SELECT COUNT(*) AS waiting FROM ${name}`);
    const waiting = Number(row?.["waiting"]);
    if (waiting > 0) left.push(`${name} has ${waiting} rows`);
  }
  return left;
}
