import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { birth, isRunning } from "../processes.js";

/** This machine's name, with the characters that names of consumers and leases can hold. */
export const machine = hostname()
  .replace(/[^\w.]/g, "")
  .slice(0, 24);

const born = birth(process.pid);

/** A name for one consumer, which tells the process and the machine that it lives in. */
export function ownerName(): string {
  return `functionsHost-${machine}-${process.pid}${born && `-${born}`}-${randomBytes(4).toString("hex")}`;
}

/** True for the `ownerName` of a process of this machine that no longer runs. */
export function isGone(ownerId: string): boolean {
  const [, where, pid, born] = /^functionsHost-(.*?)-(\d+)(?:-(\d+-\w*))?-[0-9a-f]{8}$/.exec(ownerId) ?? [];
  return where === machine && !isRunning(Number(pid), born);
}
