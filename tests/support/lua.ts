import type { Redis } from "ioredis";
import { readScripts, type ScriptArguments, type ScriptName } from "../../shared/redis/scripts.js";

const SCRIPTS = readScripts();

/** Runs one of the adapter's scripts; `bytes`, if any, come behind its arguments. */
export type RunScript = (
  name: ScriptName,
  keys: readonly string[],
  args: ScriptArguments & { readonly now?: number },
  bytes?: Buffer,
) => Promise<unknown>;

/**
 * The adapter's scripts on a real Redis, by a client of the test's own. With `now` in the arguments they go
 * by that moment.
 */
export const scriptsOn =
  (redis: Redis): RunScript =>
  (name, keys, args, bytes) =>
    redis.eval(
      SCRIPTS[name].lua,
      keys.length,
      ...keys,
      JSON.stringify(args),
      ...(bytes === undefined ? [] : [bytes]),
    );
