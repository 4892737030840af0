import type { CommandDeps } from "../../shared/commands/command.js";
import { portsOf, type RedisStore } from "../../shared/redis/ports.js";
import type { Database } from "../../shared/store/database.js";
import { FakeBroadcaster } from "./broadcaster.js";
import { FakeEventBus } from "./eventBus.js";
import { UNLIMITED } from "./limits.js";
import { FakeSessionStore } from "./sessionStore.js";

/** For cases that ask MySQL nothing: whatever they ask after all fails. */
export const NO_DATABASE = new Proxy({} as Database, {
  get(_database, name) {
    throw new Error(`the database was asked to ${String(name)}`);
  },
});

/**
 * What commands need, in memory: without limits, without a database, and with tokens that nobody asks for.
 */
export function commandDeps({
  redis = new FakeSessionStore(),
  ...others
}: Partial<CommandDeps> & { readonly redis?: RedisStore } = {}): CommandDeps {
  return {
    database: NO_DATABASE,
    bus: new FakeEventBus({ "chat-messages": 1, "chat-read-events": 1 }),
    ...portsOf(redis),
    broadcaster: new FakeBroadcaster(),
    now: Date.now,
    limits: UNLIMITED,
    heartBeats: true,
    verifyToken: () => Promise.reject(new Error("not asked")),
    ...others,
  };
}
