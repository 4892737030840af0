import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { SignJWT } from "jose";
import { startStack } from "../local/stack.js";
import type { BusName } from "../local/stackBuses.js";

/** The part of `stack.json` that measurements need. */
export interface Target {
  readonly page: string;
  readonly api: string;
  readonly webPubSub: string;
  readonly bus: BusName;
  readonly eventHubs?: string;
  readonly kafka?: string;
  readonly mysql: string;
  readonly redis: string;
  readonly pids: Readonly<Record<string, number>>;
  readonly auth: {
    readonly AUTH_JWT_SECRET: string;
    readonly AUTH_ISSUER: string;
    readonly AUTH_AUDIENCE: string;
  };
}

/** Settings under which nobody who connects or subscribes is limited. */
export const UNLIMITED = { RATE_LIMIT_HANDSHAKES_PER_MINUTE: "0", RATE_LIMIT_SUBSCRIBES_PER_MINUTE: "0" };

/**
 * Runs `work` on the stack whose `stack.json` STACK names. Without STACK it starts a stack on free ports,
 * which leaves nothing behind. `env` are settings of that stack's app, `bus` is what it publishes on.
 */
export async function onTarget<T>(
  work: (target: Target) => Promise<T>,
  env: Readonly<Record<string, string>> = {},
  bus: BusName = "eventhubs",
): Promise<T> {
  const path = process.env["STACK"];
  if (path) return work(JSON.parse(readFileSync(path, "utf8")) as Target);
  const data = mkdtempSync(join(tmpdir(), "nonstop-bench-"));
  try {
    const stack = await startStack({ data, ports: "auto", quiet: true, env, bus });
    try {
      return await work(stack.addresses as unknown as Target);
    } finally {
      await stack.close();
    }
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}

/** An access token of a user, good for two hours. */
export function tokenFor({ auth }: Target, userId: number): Promise<string> {
  return new SignJWT({ nickname: `User ${userId}` })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(String(userId))
    .setIssuer(auth.AUTH_ISSUER)
    .setAudience(auth.AUTH_AUDIENCE)
    .setExpirationTime("2h")
    .sign(new TextEncoder().encode(auth.AUTH_JWT_SECRET));
}

/** Returns the first of many user ids that no earlier measurement had. */
export const newUserIds = (): number => 10_000_000 + (Date.now() % 1_000_000_000) * 10_000;

/** Reads a whole number above 0 from the environment, `usual` if it is not there. Throws on anything else. */
export function setting(name: string, usual: number): number {
  const value = Number(process.env[name] ?? usual);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${name} must be a whole number above 0`);
  return value;
}

/** Reads several such numbers, with commas between. */
export function settings(name: string, usual: readonly number[]): readonly number[] {
  const values = process.env[name]?.split(",").map(Number) ?? usual;
  if (!values.every((value) => Number.isInteger(value) && value > 0))
    throw new Error(`${name} must be whole numbers above 0 with commas between`);
  return values;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Returns how long `work` takes, in milliseconds: the median of `calls`, one after the other. */
export async function timed(work: () => Promise<unknown>, calls = 1): Promise<number> {
  const times: number[] = [];
  for (let call = 0; call < calls; call += 1) {
    const start = performance.now();
    await work();
    times.push(performance.now() - start);
  }
  return median(times);
}

/**
 * Returns the median of each measurement over `rounds`. The measurements take turns, forwards and backwards,
 * so that a slow moment of the machine hits all of them, and none always comes after the same one.
 */
export async function inTurn<Name extends string>(
  measurements: Readonly<Record<Name, () => Promise<number>>>,
  rounds: number,
): Promise<Readonly<Record<Name, number>>> {
  const names = Object.keys(measurements) as Name[];
  const values = new Map<Name, number[]>(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1)
    for (const name of round % 2 === 0 ? names : [...names].reverse())
      values.get(name)!.push(await measurements[name]());
  return Object.fromEntries([...values].map(([name, all]) => [name, median(all)])) as Record<Name, number>;
}

/** Resolves with whether `holds` has come true within `ms` milliseconds. */
export async function until(holds: () => boolean | Promise<boolean>, ms: number): Promise<boolean> {
  for (const end = performance.now() + ms; performance.now() < end; ) {
    if (await holds()) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}

/** Writes `bench/results/NAME.json`, with the machine that measured it and the commit that was measured. */
export function writeResult(name: string, result: object): void {
  const machine = { node: process.version, cpus: cpus().length, cpu: cpus()[0]?.model };
  const commit = commitNow();
  mkdirSync("bench/results", { recursive: true });
  const text = JSON.stringify({ date: new Date().toISOString(), commit, machine, ...result }, null, 2);
  writeFileSync(`bench/results/${name}.json`, `${text}\n`);
}

/** The commit, with `+` where files differ from it. Nothing outside of a repository. */
function commitNow(): string | undefined {
  const git = (...args: string[]): string | undefined => {
    const { status, stdout } = spawnSync("git", args, { encoding: "utf8" });
    return status === 0 ? stdout.trim() : undefined;
  };
  const commit = git("rev-parse", "--short=12", "HEAD");
  const changes = git("status", "--porcelain", "--", ".", ":!bench/results");
  return commit && `${commit}${changes ? "+" : ""}`;
}
