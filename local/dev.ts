import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { projectRoot } from "./settings.js";
import type { ServerName } from "./stackServers.js";
import { FolderWatch } from "./watch.js";

/** The servers that a change under a path restarts. The first path that fits counts. */
const EFFECTS: readonly (readonly [path: string, ...servers: ServerName[]])[] = [
  ["functions/", "functionsHost"],
  ["shared/", "functionsHost"],
  ["host.json", "functionsHost"],
  ["local/functionsHost/", "functionsHost"],
  ["local/eventHubs/", "eventHubs"],
  ["local/hubs.json", "eventHubs"],
  ["local/webPubSub/", "webPubSub"],
  ["local/page/", "page"],
  ["client/", "page"],
  ["web/", "page"],
  ["bench/"],
];
const FOLDERS = ["functions", "shared", "local", "client", "web", "bench"];
const HUBS = "local/hubs.json";
const MIGRATIONS = "shared/store/migrations";
/** Files beside the sources of the build that the stack or one of its servers reads. */
const OTHER_FILES = ["host.json", HUBS, "local.settings.json", "local.settings.example.json"];
const NAMED_AT_MOST = 3;

/** The running stack, as far as the loop needs it. */
export interface Running {
  /** Whether the stack runs this server itself. */
  runs(name: ServerName): boolean;
  restart(name: ServerName): Promise<void>;
  migrate(): Promise<void>;
  /** Makes the topics that are missing; nothing where there is no Kafka. */
  makeTopics(): Promise<void>;
}

export interface DevOptions {
  readonly stack: Running;
  /** The project's folder; that of the running program if not said. */
  readonly root?: string;
  /** Gets a line for the screen at each step. The compiler writes to stderr itself. */
  readonly say: (line: string) => void;
}

/**
 * Plain JavaScript that the set-up runs before the project is built; the compiler leaves it out of `dist`.
 */
interface Build {
  sources(root: string): readonly File[];
  stepsFor(changed: readonly string[]): readonly { readonly name: string }[];
  buildSteps(
    root: string,
    steps: readonly { readonly name: string }[],
    signal: AbortSignal,
  ): Promise<string | undefined>;
  withLock<T>(folder: string, work: () => Promise<T>): Promise<T>;
}

export interface Effect {
  readonly servers: readonly ServerName[];
  /** The migrations have to be applied. */
  readonly migrates: boolean;
  /** Topics may be missing. */
  readonly hasNewHubs: boolean;
  /** These files count only when the stack itself is started again. */
  readonly atNextStart: readonly string[];
}

/** The work to do once these files, by their paths from the root, are built. */
export function effectOf(changed: readonly string[]): Effect {
  const found = changed.map((file) => ({
    file,
    effect: EFFECTS.find(([path]) => (path.endsWith("/") ? file.startsWith(path) : file === path)),
  }));
  return {
    servers: [...new Set(found.flatMap(({ effect }) => (effect ? effect.slice(1) : [])))] as ServerName[],
    migrates: changed.some((file) => file.startsWith(`${MIGRATIONS}/`)),
    hasNewHubs: changed.includes(HUBS),
    atNextStart: found.filter(({ effect }) => !effect).map(({ file }) => file),
  };
}

/** Watches the sources, and builds and restarts what changes until it is closed. */
export async function startDev({ stack, root = projectRoot, say }: DevOptions): Promise<DevLoop> {
  const load = (name: string) => import(pathToFileURL(join(root, "local", name)).href);
  const build: Build = { ...(await load("setupBuild.mjs")), ...(await load("setupLock.mjs")) };
  return new DevLoop(root, build, stack, say);
}

/**
 * Works in rounds: finds the files that changed, builds them, restarts the servers they concern. Made by
 * `startDev`.
 */
export class DevLoop {
  readonly #root: string;
  readonly #build: Build;
  readonly #stack: Running;
  readonly #say: (line: string) => void;
  readonly #watch: FolderWatch;
  readonly #stopping = new AbortController();
  /** The files as the last round saw them, or as its build read them. */
  #seen: Map<string, string>;
  /** Changed files that are not built yet, several rounds of them where the compiler found errors. */
  readonly #waiting = new Set<string>();
  #isAtWork = false;
  #hasMore = false;

  constructor(root: string, build: Build, stack: Running, say: (line: string) => void) {
    this.#root = root;
    this.#build = build;
    this.#stack = stack;
    this.#say = (line) => say(`dev: ${line}`);
    this.#seen = new Map([...otherFiles(root), ...(builtFiles(root) ?? build.sources(root).map(entry))]);
    this.#watch = new FolderWatch(root, FOLDERS, () => this.#changed());
    // Finds the changes from before anything was watched.
    this.#changed();
  }

  /** Ends a build that runs. Nothing is built or restarted from then on. */
  close(): void {
    this.#stopping.abort();
    this.#watch.close();
  }

  #changed(): void {
    this.#hasMore = true;
    if (!this.#isAtWork) void this.#work();
  }

  async #work(): Promise<void> {
    this.#isAtWork = true;
    while (this.#hasMore && !this.#stopping.signal.aborted) {
      this.#hasMore = false;
      await this.#round().catch((error: Error) => this.#say(error.message));
    }
    this.#isAtWork = false;
  }

  async #round(): Promise<void> {
    this.#watch.refresh();
    const files = filesOf(this.#root, this.#build);
    const changed = differences(this.#seen, files);
    this.#seen = files;
    if (changed.length === 0) return;
    for (const file of changed) this.#waiting.add(file);
    if (await this.#built(changed)) {
      this.#seeBuilt();
      const effect = effectOf([...this.#waiting]);
      this.#waiting.clear();
      await this.#apply(effect);
    }
  }

  /** A file that was just being written when it was looked at is built whole, and needs no second build. */
  #seeBuilt(): void {
    for (const [file, version] of builtFiles(this.#root) ?? [])
      if (this.#waiting.has(file)) this.#seen.set(file, version);
  }

  /** False when there are errors. The waiting files are then built with the next change. */
  async #built(changed: readonly string[]): Promise<boolean> {
    const { stepsFor, buildSteps, withLock } = this.#build;
    const steps = stepsFor([...this.#waiting]);
    const names = steps.map(({ name }) => name).join(", ");
    this.#say(`${summary(changed)} changed${names ? `, building: ${names}...` : ""}`);
    if (steps.length === 0) return true;
    const { signal } = this.#stopping;
    const work = () => buildSteps(this.#root, steps, signal);
    const failed = await withLock(join(this.#root, ".local-setup"), work);
    if (signal.aborted) return false;
    if (failed !== undefined)
      this.#say(`${failed}: there are errors, see above; what was built before goes on running`);
    return failed === undefined;
  }

  async #apply({ servers: concerned, migrates, hasNewHubs, atNextStart }: Effect): Promise<void> {
    if (migrates) await this.#stack.migrate();
    if (hasNewHubs) await this.#stack.makeTopics();
    const servers = concerned.filter((name) => this.#stack.runs(name));
    // The loop does not wait for the restarts: a server that fails to start is tried again, and may need
    // another change first.
    for (const name of servers) this.#restart(name);
    if (atNextStart.length > 0)
      this.#say(`${summary(atNextStart)}: counts when you stop and start again (Ctrl+C, npm run dev)`);
    else if (servers.length === 0) this.#say("built");
  }

  #restart(name: ServerName): void {
    this.#stack.restart(name).then(
      () => this.#say(`${name} runs the new code`),
      // The server is being stopped.
      () => {},
    );
  }
}

type File = readonly [file: string, size: number, mtimeMs: number];

/** A file with what tells its versions apart. */
const entry = ([file, ...version]: File): [string, string] => [file, version.join(" ")];

function filesOf(root: string, { sources }: Build): Map<string, string> {
  return new Map([...sources(root).map(entry), ...otherFiles(root)]);
}

function otherFiles(root: string): [string, string][] {
  const folder = join(root, MIGRATIONS);
  const migrations = existsSync(folder) ? readdirSync(folder).map((name) => `${MIGRATIONS}/${name}`) : [];
  return [...OTHER_FILES, ...migrations].flatMap((file) => {
    const stat = statSync(join(root, file), { throwIfNoEntry: false });
    return stat ? [entry([file, stat.size, stat.mtimeMs])] : [];
  });
}

/** The sources that `dist` was made from; `undefined` where the build does not say. */
function builtFiles(root: string): [string, string][] | undefined {
  const stamp = join(root, "dist/.built");
  if (!existsSync(stamp)) return undefined;
  const files: readonly File[] = JSON.parse(readFileSync(stamp, "utf8"));
  return files.map(entry);
}

function differences(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  const files = new Set([...before.keys(), ...after.keys()]);
  return [...files].filter((file) => before.get(file) !== after.get(file)).sort();
}

function summary(files: readonly string[]): string {
  const more = files.length - NAMED_AT_MOST;
  return files.slice(0, NAMED_AT_MOST).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
