import { sourceFolder } from "../platform/sourceFolder.js";
import { readScript, type Script } from "./lua.js";
import type { Commands, RedisConnection } from "./redisConnection.js";

/** Every script of the adapter; read once, when Redis is connected. Throws where a file is missing. */
export function readScripts(folder = sourceFolder("redis/lua")) {
  const read = (name: string): Script => readScript(folder, name);
  return {
    admit: read("admit"),
    claimUnfinished: read("claimUnfinished"),
    closed: read("closed"),
    dropMembers: read("dropMembers"),
    isMember: read("isMember"),
    keepPiece: read("keepPiece"),
    leaveId: read("leaveId"),
    listUnfinished: read("listUnfinished"),
    logOut: read("logOut"),
    noteLookedAfter: read("noteLookedAfter"),
    noteSubscription: read("noteSubscription"),
    noteUnfinished: read("noteUnfinished"),
    putMembers: read("putMembers"),
    register: read("register"),
    remove: read("remove"),
    take: read("take"),
    takeId: read("takeId"),
  };
}

export type ScriptName = keyof ReturnType<typeof readScripts>;

/**
 * What a script is told, by name: it becomes one JSON text. What is `undefined` is absent there, which Lua
 * reads as `nil`. Numbers are doubles in Lua, exact up to 2^53, and so are milliseconds since 1970 and user
 * ids. `null` would not be `nil`, so there is none.
 */
export type ScriptArguments = Readonly<
  Record<string, string | number | boolean | readonly (string | number)[] | undefined>
>;

/**
 * How the ports ask Redis. Every answer is `undefined` where Redis can't be used, as of
 * `RedisConnection.run`.
 */
export interface Asking {
  run<T>(key: string, call: (commands: Commands<ScriptName>) => Promise<T>): Promise<T | undefined>;
  /**
   * Runs a script with the answer that its head describes. `bytes`, if any, come behind the JSON, as they
   * are.
   */
  script<T>(
    name: ScriptName,
    keys: readonly [string, ...string[]],
    args?: ScriptArguments,
    bytes?: Buffer,
  ): Promise<T | undefined>;
}

/** What a script says by 1 or 0; `undefined` where there is no answer. */
export const yesOrNo = (answer: number | undefined): boolean | undefined =>
  answer === undefined ? undefined : answer === 1;

/** Asks by a connection. Only a test has a clock: without one the scripts go by Redis's own. */
export function asking(redis: RedisConnection<ScriptName>, now?: () => number): Asking {
  return {
    run: redis.run,
    script<T>(
      name: ScriptName,
      keys: readonly [string, ...string[]],
      args: ScriptArguments = {},
      bytes?: Buffer,
    ) {
      const json = JSON.stringify(now ? { ...args, now: now() } : args);
      const values = bytes ? [json, bytes] : [json];
      return redis.run(keys[0], async (commands) => (await commands.script(name, keys, values)) as T);
    },
  };
}
