import { fileURLToPath } from "node:url";
import { HUB } from "../broadcast/broadcaster.js";
import { connectWebPubSub } from "../broadcast/webPubSub.js";
import { readAuditConfig } from "../config.js";
import { createCredential } from "../platform/credential.js";
import { columns, runProgram, visible } from "../platform/program.js";
import { inspectRedis } from "../redis/inspection.js";
import { connectRedis } from "../redis/redis.js";
import { openDatabase } from "../store/database.js";
import { findRoom } from "../store/rooms.js";
import { type Arguments, readArguments } from "./arguments.js";
import { type AuditDeps, areasOf } from "./audit.js";
import { PAUSES_MS, type Told } from "./auditArea.js";

/** One for each of the few things that are asked at once. */
const POOL_SIZE = 6;

/** Audits what the settings lead to, and resolves with the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const asked = readArguments(args);
  const { webPubSub, mysql, redis, clientId } = readAuditConfig(process.env);
  const credential = createCredential(clientId);
  const database = openDatabase(mysql.url, { poolSize: POOL_SIZE, ...(mysql.entra && { credential }) });
  const store = connectRedis(redis, redis.entra ? { credential } : {});
  try {
    const broadcaster = connectWebPubSub(webPubSub, HUB, undefined, credential);
    await database.query("SELECT 1");
    await broadcaster.ping();
    const inspection = await inspectRedis(redis, redis.entra ? credential : undefined);
    try {
      return await audit(asked, { database, members: store, sessions: store, broadcaster, inspection });
    } finally {
      inspection.close();
    }
  } finally {
    await store.close();
    await database.end();
  }
}

async function audit({ roomId, repairs, json }: Arguments, deps: AuditDeps): Promise<number> {
  if (roomId !== undefined && !(await findRoom(deps.database, roomId)))
    throw new Error(`There is no room ${roomId}.`);
  const found: Told[] = [];
  const tell = (told: Told): void => {
    found.push(told);
    if (json) console.log(JSON.stringify(told));
  };
  const how = { repairs, pauses: PAUSES_MS, isOver: () => false };
  const looked: string[] = [];
  for (const [name, auditOne] of areasOf(deps, roomId)) {
    const { places } = await auditOne(how, tell);
    looked.push(`${places} ${name}`);
  }
  if (!json && found.length > 0) console.log(tableOf(found));
  const open = found.filter(({ state }) => state !== "mended");
  console.error(`${summary(found.length, open.length)} Looked at: ${looked.join(", ")}.`);
  return open.length === 0 ? 0 : 1;
}

function summary(found: number, open: number): string {
  if (found === 0) return "Nothing differs.";
  const differs = found === 1 ? "1 difference" : `${found} differences`;
  if (open === 0) return `${differs}, all mended.`;
  return open === found ? `${differs}.` : `${differs}, ${found - open} mended.`;
}

const HEAD = ["what", "where", "expected", "found", "state"] as const;

/** What differs as a table, then why some of it can't be mended. */
function tableOf(found: readonly Told[]): string {
  const rows = found.map((one) => [
    one.kind,
    visible(one.where),
    one.expected,
    one.found,
    one.state === "differs" && one.unmendable === undefined ? "can be mended" : stateOf(one),
  ]);
  const reasons = new Set(
    found.flatMap(({ kind, unmendable }) => (unmendable ? `${kind}: ${unmendable}.` : [])),
  );
  return [columns([HEAD, ...rows]), ...reasons].join("\n");
}

const stateOf = ({ state, unmendable }: Told): string =>
  unmendable === undefined ? state : "can't be mended";

if (process.argv[1] === fileURLToPath(import.meta.url)) runProgram(main, 2);
