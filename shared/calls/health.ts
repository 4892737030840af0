import type { z } from "zod";
import type { Broadcaster } from "../broadcast/broadcaster.js";
import type { EventBus } from "../bus/eventBus.js";
import { within } from "../platform/async.js";
import type { Faults, Part } from "../platform/faults.js";
import type { RedisStore } from "../redis/ports.js";
import type { Database } from "../store/database.js";
import { findSchema, SCHEMA_VERSION } from "../store/schemaVersion.js";
import type { Health } from "./schemas.js";

const CHECK_MS = 3_000;

export interface HealthDeps {
  readonly database: Database;
  readonly bus: EventBus;
  readonly broadcaster: Broadcaster;
  readonly redis: Pick<RedisStore, "ping">;
  readonly faults: Faults;
}

/**
 * Each dependency's state, as it is found within three seconds. `down` says that messages can't be sent and
 * shown. Never throws.
 */
export async function health(deps: HealthDeps): Promise<z.infer<typeof Health>> {
  const [mysql, redis, eventHubs, webPubSub] = await Promise.all([
    stateOf(withoutFaults("mysql", checkSchema(deps), deps)),
    stateOf(deps.redis.ping()),
    stateOf(withoutFaults("eventHubs", deps.bus.ping(), deps)),
    stateOf(withoutFaults("webPubSub", deps.broadcaster.ping(), deps)),
  ]);
  // Everything goes on without Redis.
  const isDown = [mysql, eventHubs, webPubSub].includes("down");
  const status = isDown ? "down" : redis === "down" ? "degraded" : "up";
  return { status, dependencies: { mysql, redis, eventHubs, webPubSub } };
}

/** A part that answers may still refuse what this app needs of it. */
async function withoutFaults(part: Part, check: Promise<void>, { faults }: HealthDeps): Promise<void> {
  await check;
  if (await faults.any(part)) throw new Error(`${part} has to be mended`);
}

async function checkSchema({ database, faults }: HealthDeps): Promise<void> {
  const { version, isReadOnly } = await findSchema(database);
  const note = (kind: string, what: string) => faults.note("mysql", { kind, what, isOwn: true });
  if (version < SCHEMA_VERSION)
    note("version", `the tables are those of migration ${version}, this app needs ${SCHEMA_VERSION}`);
  if (isReadOnly) note("read-only", "the server is read-only: the address leads to a replica");
}

async function stateOf(check: Promise<void>): Promise<"up" | "down"> {
  const isUp = check.then(
    () => true,
    () => false,
  );
  return (await within(CHECK_MS, isUp)) === true ? "up" : "down";
}
