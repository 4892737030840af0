import { availableParallelism } from "node:os";

/** V8 keeps up to twice as many megabytes for young objects. Its own value is 16. */
const SEMI_SPACE_MB = 4;
/** V8's own number of threads that collect garbage and compile. */
const HELPERS = 4;

/**
 * How Node runs a server beside the others on one machine. By themselves these processes keep up to 32 MB each for young
 * objects, and start four threads each that help V8, however few processors there are; each thread's heap keeps
 * what it had at its busiest. On two processors that was a sixth of all servers' memory under load. What `NODE_OPTIONS`
 * says wins.
 */
export function leanArgs(
  semiSpaceMb = SEMI_SPACE_MB,
  { NODE_OPTIONS = "" } = process.env,
): readonly string[] {
  const said = NODE_OPTIONS.replaceAll("_", "-");
  return [
    `--max-semi-space-size=${semiSpaceMb}`,
    `--v8-pool-size=${Math.max(1, Math.min(HELPERS, availableParallelism() - 1))}`,
  ].filter((arg) => !said.includes(arg.slice(0, arg.indexOf("="))));
}

/** The same for the heaps of threads, of which glibc makes up to eight for each processor. What is set already wins. */
export const leanEnv = ({ MALLOC_ARENA_MAX = "2" } = process.env): Readonly<Record<string, string>> => ({
  MALLOC_ARENA_MAX,
});
