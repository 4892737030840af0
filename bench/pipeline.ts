import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SignJWT } from "jose";
import { startStack } from "../local/stack.js";
import { type Load, LoadGenerator, type RunResult } from "./loadGenerator.js";
import { type Counters, observe, perMessage } from "./observe.js";

/** What `stack.json` says, as far as the bench needs it. */
interface Target {
  readonly api: string;
  readonly webPubSub: string;
  readonly eventHubs: string;
  readonly mysql: string;
  readonly redis: string;
  readonly pids: Readonly<Record<string, number>>;
  readonly auth: {
    readonly AUTH_JWT_SECRET: string;
    readonly AUTH_ISSUER: string;
    readonly AUTH_AUDIENCE: string;
  };
}

const setting = (name: string, usual: string): string => process.env[name] ?? usual;

const ROOMS = Number(setting("BENCH_ROOMS", "20"));
const MEMBERS = Number(setting("BENCH_MEMBERS", "10"));
const SECONDS = Number(setting("BENCH_SECONDS", "10"));
const RATES = setting("BENCH_RATES", "50,100,250,500,750,1000,1250").split(",").map(Number);
/** Long enough for the compilers of five processes to have seen the hot paths. */
const WARM_UP_RATE = 500;
const WARM_UP_SECONDS = 12;

export interface Row extends RunResult {
  readonly each: Counters;
}

/** Open-loop load at rising rates: on the stack whose `stack.json` STACK names, else on one of its own on free ports. */
export async function run(): Promise<readonly Row[]> {
  const path = process.env["STACK"];
  if (path) return measure(JSON.parse(readFileSync(path, "utf8")) as Target);
  const data = mkdtempSync(join(tmpdir(), "nonstop-bench-"));
  const stack = await startStack({ data, ports: "auto", quiet: true });
  try {
    return await measure(stack.addresses as unknown as Target);
  } finally {
    await stack.close();
    rmSync(data, { recursive: true, force: true });
  }
}

async function measure(target: Target): Promise<readonly Row[]> {
  const generator = await LoadGenerator.connect({
    rooms: await makeRooms(target),
    webPubSub: target.webPubSub,
  });
  const rows: Row[] = [];
  try {
    await generator.run(WARM_UP_RATE, WARM_UP_SECONDS);
    for (const rate of RATES) {
      const before = await observe(target);
      const result = await generator.run(rate, SECONDS);
      const row = { ...result, each: perMessage(before, await observe(target), result.sent) };
      rows.push(row);
      print(row);
    }
  } finally {
    await generator.close();
  }
  return rows;
}

async function makeRooms(target: Target): Promise<Load["rooms"]> {
  const { AUTH_JWT_SECRET: secret, AUTH_ISSUER: issuer, AUTH_AUDIENCE: audience } = target.auth;
  const token = (user: number): Promise<string> =>
    new SignJWT({ nickname: `User ${user}` })
      .setProtectedHeader({ alg: "HS256" })
      .setSubject(String(user))
      .setIssuer(issuer)
      .setAudience(audience)
      .setExpirationTime("2h")
      .sign(new TextEncoder().encode(secret));
  const first = 10_000_000 + (Date.now() % 1_000_000_000) * 1_000;
  return Promise.all(
    Array.from({ length: ROOMS }, async (_, room) => {
      const users = Array.from({ length: MEMBERS }, (_, member) => first + room * MEMBERS + member);
      const tokens = await Promise.all(users.map(token));
      const response = await fetch(`${target.api}/api/v1/chat/group-rooms`, {
        method: "POST",
        headers: { authorization: `Bearer ${tokens[0]}` },
        body: JSON.stringify({ roomName: `bench ${room}`, userIds: users.slice(1) }),
      });
      if (response.status !== 201) throw new Error(`no room: ${response.status} ${await response.text()}`);
      return { roomId: ((await response.json()) as { roomId: number }).roomId, tokens };
    }),
  );
}

const HEAD =
  "rate/s   sent  deliv/s  lost  rep  dis  err    p50ms    p99ms  growth | per message: upstream  redis   bus   sql  rest | cpu ms by process";
let headed = false;

function print(row: Row): void {
  if (!headed) console.log(`${ROOMS} rooms x ${MEMBERS} members, ${SECONDS} s a rate\n${HEAD}`);
  headed = true;
  const pad = (value: number, width: number, digits = 0): string => value.toFixed(digits).padStart(width);
  const cpu = Object.entries(row.each.cpu).map(([name, ms]) => `${name} ${ms.toFixed(2)}`);
  console.log(
    pad(row.rate, 6) +
      pad(row.sent, 7) +
      pad(row.deliveredPerSecond, 9) +
      pad(row.lost, 6) +
      pad(row.repeated, 5) +
      pad(row.disordered, 5) +
      pad(row.errors, 5) +
      pad(row.p50, 9, 1) +
      pad(row.p99, 9, 1) +
      pad(row.growth, 8, 2) +
      " |             " +
      pad(row.each.upstreamCalls, 9, 2) +
      pad(row.each.redisCalls, 7, 2) +
      pad(row.each.busSends, 6, 2) +
      pad(row.each.sqlStatements, 6, 2) +
      pad(row.each.restSends, 6, 2) +
      ` | ${cpu.join(", ")}`,
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const rows = await run();
  const machine = { node: process.version, cpus: cpus().length, cpu: cpus()[0]?.model };
  mkdirSync("bench/results", { recursive: true });
  const result = {
    date: new Date().toISOString(),
    machine,
    rooms: ROOMS,
    members: MEMBERS,
    seconds: SECONDS,
    rows,
  };
  writeFileSync("bench/results/pipeline.json", `${JSON.stringify(result, null, 2)}\n`);
}
