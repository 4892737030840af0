import { measureMachine, piece } from "../machine.js";
import { median } from "../target.js";

const ROUNDS = 15;

/** The CPU of one message in pieces of a fixed work that is done in turn with it: a machine's speed is in neither. */
export async function cpuRatio(work: () => Promise<void>, messages: number): Promise<number> {
  measureMachine();
  await work();
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const [own, reference] = [await cpuOf(work), await cpuOf(async () => void piece())];
    ratios.push(own / messages / reference);
  }
  return median(ratios);
}

async function cpuOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
